"""The language table: a marked cell for what failed, groups only of what is complete."""

from __future__ import annotations

import csv

import pytest

from bench.core.case import LanguageCase
from bench.core.record import Verdict, apply_verdict, blank_record
from bench.language.loaded_model import ModelHolder
from bench.language.models.config import ModelConfig
from bench.language.report import Group, language_rows, write_language_summary
from bench.report.figures import figures


def scored(model: str, dataset: str, value: float, n: int = 100, **fields) -> dict:
    record = blank_record(LanguageCase(f"{model}-{dataset}", model, dataset, mode="ll"))
    score = {
        "metric": "accuracy", "value": value, "low": value - 5, "high": value + 5, "stderr": 2.5, "n": n,
        "unparsed": 0, "percent": True, "required": None, **fields,
    }  # fmt: skip
    record.update(score=score, metrics={score["metric"]: score})
    apply_verdict(record, Verdict("pass", "passed", ""))
    return record


def failed(model: str, dataset: str, code: str = "model_failed") -> dict:
    record = blank_record(LanguageCase(f"{model}-{dataset}", model, dataset, mode="ll"))
    apply_verdict(record, Verdict("error", code, "because"))
    return record


def cells(rows, name, how=None):
    return next(row[3:] for row in rows if row[0] == name and how in (None, row[1]))


def test_a_row_per_dataset_and_metric_and_a_column_per_model():
    rows = language_rows([scored("a", "x", 60.0), scored("b", "x", 70.0)])
    assert rows == [
        ("dataset", "metric", "mode", "a", "b"),
        ("x", "accuracy", "ll", "60.0 [55.0, 65.0]", "70.0 [65.0, 75.0]"),
    ]


def test_what_failed_is_marked_and_makes_its_groups_incomplete():
    records = [scored("a", "x", 60.0), failed("b", "x"), scored("a", "y", 40.0), failed("b", "y", "not_run")]
    rows = language_rows(records)
    assert cells(rows, "x") == ("60.0 [55.0, 65.0]", "ERROR: model_failed")
    assert cells(rows, "y")[1] == "ERROR: not_run"
    assert cells(rows, "all", "average") == ("50.0", "INCOMPLETE: 2 of 2 missing")


def test_groups_are_averages_weighted_means_and_harmonic_means():
    records = [scored("a", "x", 60.0, n=100), scored("a", "y", 30.0, n=300)]
    rows = language_rows(records)
    assert cells(rows, "all", "average") == ("45.0",)
    assert cells(rows, "all", "weighted") == ("37.5",)
    assert cells(rows, "all", "harmonic") == ("40.0",)
    only = language_rows(records, [Group("first", ("x",), "average"), Group("absent", ("x", "z"))])
    assert cells(only, "first") == ("60.0",)
    assert cells(only, "absent") == ("INCOMPLETE: 1 of 2 missing",)


def test_a_perplexity_is_in_no_group():
    perplexity = scored("a", "y", 12.3456, metric="word_perplexity", percent=False)
    rows = language_rows([scored("a", "x", 60.0), perplexity])
    assert cells(rows, "y") == ("12.346 [7.346, 17.346]",)
    assert cells(rows, "all", "average") == ("60.0",)


def test_unparsed_answers_stand_beside_the_score():
    record = scored("a", "x", 60.0, unparsed=7)
    assert cells(language_rows([record]), "x") == ("60.0 [55.0, 65.0] (7 unparsed)",)
    assert figures(record) == "accuracy 60.0 [55.0, 65.0] of 100, 7 unparsed"


def test_a_missed_requirement_is_marked_beside_the_score():
    record = scored("a", "x", 60.0)
    apply_verdict(record, Verdict("fail", "score_missed", "accuracy 60 is under 80"))
    assert cells(language_rows([record]), "x") == ("60.0 [55.0, 65.0] FAIL",)


def test_a_shard_that_died_marks_the_dataset():
    whole = [
        failed("a", "x", "worker_died"),
        blank_record(LanguageCase("a-x-2of2", "a", "x", shard=2, shards=2)),
    ]
    apply_verdict(whole[1], Verdict("pass", "passed", "shard 2 of 2"))
    assert cells(language_rows(whole), "x") == ("ERROR: worker_died",)


def test_table_is_written_as_text_csv_and_markdown(tmp_path):
    write_language_summary(tmp_path, [scored("a", "x", 60.0), failed("b", "x")], [])
    with open(tmp_path / "summary/summary.csv") as file:
        assert list(csv.reader(file))[1] == [
            "x",
            "accuracy",
            "ll",
            "60.0 [55.0, 65.0]",
            "ERROR: model_failed",
        ]
    assert "| x | accuracy | ll |" in (tmp_path / "summary/summary.md").read_text()
    assert "ERROR: model_failed" in (tmp_path / "summary/summary.txt").read_text()


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


@pytest.mark.parametrize("kind", ["language"])
def test_a_blank_record_of_any_kind_has_the_common_keys(kind):
    record = blank_record(LanguageCase("a-x", "a", "x"))
    assert record["kind"] == kind
    for key in (
        "id",
        "verdict",
        "reason_code",
        "reason",
        "control",
        "difficulty",
        "level",
        "achievement_rate",
        "warnings",
    ):
        assert key in record
