"""The language table: a marked cell for what failed, groups only of what is complete."""

from __future__ import annotations

import csv
import json

import pytest
from language_toys import MODEL, keep_registered, setting

from bench.core.kind import Finish
from bench.core.record import Score
from bench.core.verdict import Verdict
from bench.language.case import LanguageCase
from bench.language.config import RunConfig, SummaryGroup
from bench.language.kind import KIND
from bench.language.library import DATASETS, load_dataset
from bench.language.loaded_model import ModelHolder
from bench.language.models.config import ModelConfig
from bench.language.options import LanguageSettings
from bench.language.report import headline, protocol_notes, table_rows, write_summary
from bench.report.tables import figures


def blank(model: str, dataset: str, **fields):
    return LanguageCase(f"{model}-{dataset}", model, dataset, **{"mode": "ll", **fields}).blank()


def scored(model: str, dataset: str, value: float, n: int = 100, record=None, **fields):
    record = blank(model, dataset, **record or {})
    score = Score(
        **{
            "metric": "accuracy", "value": value, "low": value - 5, "high": value + 5, "stderr": 2.5, "n": n,
            "unparsed": 0, "unit": "%", **fields,
        }
    )  # fmt: skip
    record.score, record.metrics = score, {score.metric: score}
    record.apply(Verdict("pass", "passed", ""))
    return record


def failed(model: str, dataset: str, code: str = "model_failed"):
    record = blank(model, dataset)
    record.apply(Verdict("error", code, "because"))
    return record


def cells(rows, name, rule=None):
    return next(row[4:] for row in rows if row[0] == name and rule in (None, row[1]))


def sent(record):
    """The record as it comes from a worker."""
    return KIND.decode(json.loads(json.dumps(record.to_json())))


def test_a_row_per_dataset_and_metric_and_a_column_per_model():
    rows = table_rows([scored("a", "x", 60.0), scored("b", "x", 70.0)])
    assert rows == [
        ("dataset", "metric", "mode", "protocol", "a", "b"),
        ("x", "accuracy", "ll", "-", "60.0 [55.0, 65.0]", "70.0 [65.0, 75.0]"),
    ]


def test_what_failed_is_marked_and_makes_its_groups_incomplete():
    records = [scored("a", "x", 60.0), failed("b", "x"), scored("a", "y", 40.0), failed("b", "y", "not_run")]
    rows = table_rows(records)
    assert cells(rows, "x") == ("60.0 [55.0, 65.0]", "ERROR: model_failed")
    assert cells(rows, "y")[1] == "ERROR: not_run"
    assert cells(rows, "all", "average") == ("50.0", "INCOMPLETE: 2 of 2 missing")


def test_groups_are_averages_weighted_means_and_harmonic_means():
    records = [scored("a", "x", 60.0, n=100), scored("a", "y", 30.0, n=300)]
    rows = table_rows(records)
    assert cells(rows, "all", "average") == ("45.0",)
    assert cells(rows, "all", "weighted") == ("37.5",)
    assert cells(rows, "all", "harmonic") == ("40.0",)
    only = table_rows(records, [SummaryGroup("first", ("x",), "average"), SummaryGroup("absent", ("x", "z"))])
    assert cells(only, "first") == ("60.0",)
    assert cells(only, "absent") == ("INCOMPLETE: 1 of 2 missing",)


def test_a_perplexity_is_in_no_group():
    perplexity = scored("a", "y", 12.3456, metric="word_perplexity", unit="", higher_is_better=False)
    rows = table_rows([scored("a", "x", 60.0), perplexity])
    assert cells(rows, "y") == ("12.346 [7.346, 17.346]",)
    assert cells(rows, "all", "average") == ("60.0",)


def test_unparsed_answers_are_shown_with_the_score_also_of_a_record_that_a_worker_sent():
    record = scored("a", "x", 60.0, unparsed=7)
    for found in (record, sent(record)):
        assert cells(table_rows([found]), "x") == ("60.0 [55.0, 65.0] (7 unparsed)",)
        assert headline(found) == "accuracy 60.0 [55.0, 65.0] of 100, 7 unparsed"
    assert sent(record) == record
    record.headline = headline(record)
    assert figures(record) == "accuracy 60.0 [55.0, 65.0] of 100, 7 unparsed"


def test_a_shard_is_known_by_its_own_part_until_the_whole_is_scored():
    record = blank("a", "x", shard=1, shards=2)
    assert headline(record) == ""
    record.body.part = scored("a", "x", 50.0, n=10).score
    assert headline(record) == "accuracy 50.0 [45.0, 55.0] of 10"
    record.score = scored("a", "x", 60.0).score
    assert headline(record) == "accuracy 60.0 [55.0, 65.0] of 100"


def test_a_missed_requirement_is_marked_with_the_score():
    record = scored("a", "x", 60.0)
    record.apply(Verdict("fail", "score_missed", "accuracy 60 is under 80"))
    assert cells(table_rows([record]), "x") == ("60.0 [55.0, 65.0] FAIL",)


def test_the_protocol_stands_in_the_table_and_own_ones_have_one_footnote_and_a_word_in_their_records(
    tmp_path,
):
    published = scored("a", "x", 60.0, record={"protocol": "lm-eval:x@1"})
    own = [scored("a", name, 60.0, record={"protocol": "own"}) for name in ("y", "z")]
    records = [published, *own]
    assert [row[3] for row in table_rows(records)[1:4]] == ["lm-eval:x@1", "own", "own"]
    note = "protocol own: not comparable with published numbers (y, z)"
    assert protocol_notes(records) == [note]
    assert protocol_notes([published]) == []
    write_summary(tmp_path, records, [])
    for name in ("summary.txt", "summary.md"):
        assert (tmp_path / "summary" / name).read_text().count(note) == 1
    assert "lm-eval:x@1" in (tmp_path / "summary/summary.csv").read_text()
    assert own[0].to_json()["protocol_note"] == "not comparable with published numbers"
    assert published.to_json()["protocol_note"] is None
    assert sent(own[0]) == own[0]


def test_each_part_of_a_dataset_has_a_row_of_its_own_and_none_of_them_is_in_a_group():
    record = scored("a", "x", 60.0)
    record.body.groups = {"art": scored("a", "x", 50.0).score, "law": scored("a", "x", 70.0).score}
    rows = table_rows([record, scored("b", "x", 40.0), scored("a", "y", 20.0), scored("b", "y", 20.0)])
    assert [row[:2] + row[4:] for row in rows[1:4]] == [
        ("x", "accuracy", "60.0 [55.0, 65.0]", "40.0 [35.0, 45.0]"),
        ("x", "accuracy of art", "50.0 [45.0, 55.0]", "-"),
        ("x", "accuracy of law", "70.0 [65.0, 75.0]", "-"),
    ]
    assert cells(rows, "all", "average") == ("40.0", "30.0")
    assert sent(record) == record


def test_a_shard_that_died_marks_the_dataset():
    whole = [failed("a", "x", "worker_died"), blank("a", "x", shard=2, shards=2)]
    whole[1].apply(Verdict("pass", "passed", "shard 2 of 2"))
    assert cells(table_rows(whole), "x") == ("ERROR: worker_died",)


def test_table_is_written_as_text_csv_and_markdown(tmp_path):
    write_summary(tmp_path, [scored("a", "x", 60.0), failed("b", "x")], [])
    with open(tmp_path / "summary/summary.csv") as file:
        assert list(csv.reader(file))[1] == [
            "x",
            "accuracy",
            "ll",
            "-",
            "60.0 [55.0, 65.0]",
            "ERROR: model_failed",
        ]
    assert "| x | accuracy | ll |" in (tmp_path / "summary/summary.md").read_text()
    assert "ERROR: model_failed" in (tmp_path / "summary/summary.txt").read_text()


def test_the_end_of_a_run_has_the_groups_of_the_configuration_and_what_was_asked(tmp_path, monkeypatch):
    keep_registered(monkeypatch, DATASETS)
    DATASETS.add("mine", load_dataset("siqa_gen"))
    (tmp_path / "configs").mkdir()
    settings = LanguageSettings(
        models=(MODEL,), config=RunConfig(groups=(SummaryGroup("both", rule="average"),)), reuse=tmp_path / "old"
    )  # fmt: skip
    records = [scored("toy", name, 60.0) for name in ("piqa_ll", "mine", "nowhere")]
    records[0].data = "rows of mine"
    finish = Finish(tmp_path, records, settings, setting(tmp_path))
    section = KIND.table(finish)
    assert section.rows[-1] == ("both", "average", "-", "-", "60.0")
    assert section.notes == ["rows: rows of mine"]
    KIND.finish(finish)
    assert "both" in (tmp_path / "summary/summary.txt").read_text()
    found = json.loads((tmp_path / "configs/language.json").read_text())
    assert [model["name"] for model in found["models"]] == ["toy"]
    assert found["datasets"]["piqa_ll"]["file"] == "piqa_ll.py"
    assert found["datasets"]["mine"]["file"] == "test_language_report.py"
    assert "no dataset is named 'nowhere'" in found["datasets"]["nowhere"]
    assert found["earlier"] == {"reuse": str(tmp_path / "old"), "reference": None}


def test_a_model_is_loaded_once_and_dropped_before_the_next(monkeypatch):
    events = []
    monkeypatch.setattr(ModelHolder, "_load", lambda _self, config: events.append(config.name) or object())
    holder = ModelHolder("cpu")
    one, two = ModelConfig("one", "p"), ModelConfig("two", "p")
    first = holder.get(one)
    assert holder.get(one) is first
    monkeypatch.setattr(
        ModelHolder, "_load", lambda self, config: events.append((config.name, self._backend)) or object()
    )
    holder.get(two)
    assert events == ["one", ("two", None)]  # nothing is held while the second one is loaded


@pytest.mark.parametrize(
    "key",
    [
        "id", "kind", "order", "verdict", "reason_code", "reason", "control", "difficulty", "level",
        "achievement_rate", "warnings", "duration_s", "prompt_id", "score", "metrics", "data",
        "model", "dataset", "mode", "protocol", "protocol_note", "shard", "reference", "part", "groups",
        "fingerprint", "engine",
    ],
)  # fmt: skip
def test_a_blank_record_has_every_key(key):
    record = blank("a", "x").to_json()
    assert key in record
    assert record["kind"] == "language"
