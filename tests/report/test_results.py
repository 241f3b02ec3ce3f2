"""Results of a run: the counts, and the JSON file that is complete after every case."""

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import case, record

from bench.acceleration.samples import write_samples
from bench.core.case import AccelerationCase
from bench.core.record import SCHEMA_VERSION, VERDICTS
from bench.report.results import ResultsFile, summarize


@pytest.fixture
def results(tmp_path):
    return ResultsFile(tmp_path / "evaluation_results.json", {"id": "run", "seed": 7})


def written(results):
    return json.loads(results.path.read_text())


# Counts


def test_every_verdict_is_counted_in_its_place():
    verdicts = ["pass"] * 5 + ["fail"] * 4 + ["inconclusive"] * 3 + ["error"] * 2 + ["skip"]
    summary = summarize(record(verdict, number) for number, verdict in enumerate(verdicts))
    assert {key: summary[key] for key in ("total", "passed", "failed", "inconclusive", "errors", "skipped")} == {
        "total": 15, "passed": 5, "failed": 4, "inconclusive": 3, "errors": 2, "skipped": 1,
    }  # fmt: skip
    assert summary["pass_rate"] == 5 / 14


@given(st.lists(st.tuples(st.sampled_from(VERDICTS), st.sampled_from(["hard", "easy"]), st.booleans())))
def test_counts_add_up_and_controls_are_counted_apart(kinds):
    records = [
        record(verdict, number, difficulty=difficulty, expect="crashed" if control else None)
        for number, (verdict, difficulty, control) in enumerate(kinds)
    ]
    summary = summarize(records)
    tasks = [kind for kind in kinds if not kind[2]]
    counted = sum(summary[key] for key in ("passed", "failed", "inconclusive", "errors", "skipped"))
    assert counted == summary["total"] == len(tasks)
    assert summary["controls"]["total"] == len(kinds) - len(tasks)
    assert summary["controls"]["rejected"] == sum(v == "pass" and c for v, _, c in kinds)
    assert summary["hard"]["total"] == sum(difficulty == "hard" for _, difficulty, _ in tasks)
    assert summary["pass_rate"] is None or 0 <= summary["pass_rate"] <= 1


@pytest.mark.parametrize("records", [[], [record("skip")], [record("pass", expect="crashed")]])
def test_pass_rate_is_missing_where_nothing_was_to_decide(records):
    assert summarize(records)["pass_rate"] is None


@pytest.mark.parametrize("verdict", ["inconclusive", "error", "fail"])
def test_what_was_not_decided_is_no_pass(verdict):
    assert summarize([record("pass", 1), record(verdict, 2)])["pass_rate"] == 0.5
    assert summarize([record(verdict)])["pass_rate"] == 0.0


def test_levels_are_counted_each_for_itself_and_all_are_named():
    records = [record("pass", 1, level="L1"), record("fail", 2, level="L1"), record("pass", 3, level="L4")]
    levels = summarize([*records, record("pass", 4), record("pass", 5, level="L1", expect="crashed")])[
        "levels"
    ]
    assert levels == {
        "L1": {"total": 2, "passed": 1},
        "L2": {"total": 0, "passed": 0},
        "L3": {"total": 0, "passed": 0},
        "L4": {"total": 1, "passed": 1},
        "L5": {"total": 0, "passed": 0},
    }


def test_achievement_is_the_mean_over_tasks_that_have_one():
    hard = [
        record("pass", n, achievement=rate, difficulty="hard") for n, rate in enumerate((1.0, 0.5, 0.0, None))
    ]
    assert summarize(hard)["hard"] == {"total": 4, "achievement_rate": 0.5}
    assert summarize(hard[3:])["hard"] == {"total": 1, "achievement_rate": None}


# The file


def test_file_is_complete_after_every_record(results):
    for number in range(3):
        results.add(f"case{number}", record("pass", number))
        content = written(results)
        assert list(content) == ["schema_version", "run", "summary", "records"]
        assert (content["schema_version"], content["run"]) == (SCHEMA_VERSION, {"id": "run", "seed": 7})
        assert content["summary"] == summarize(content["records"])
        assert content["records"] == results.ordered()
        assert len(content["records"]) == number + 1


def test_file_without_records_is_valid(results):
    results.write()
    assert written(results)["records"] == []


def test_order_of_records_does_not_depend_on_their_arrival(tmp_path):
    arrivals = [("a", 2), ("b", 0), ("c", 1), ("d", 1)]
    texts = set()
    for index, order in enumerate(itertools.permutations(arrivals)):
        results = ResultsFile(tmp_path / f"{index}.json", {})
        for nodeid, number in order:
            results.add(nodeid, record("pass", number) | {"id": nodeid})
        assert [entry["id"] for entry in results.ordered()] == ["b", "c", "d", "a"]
        texts.add(results.path.read_text())
    assert len(texts) == 1


def test_later_record_of_a_case_takes_the_place_of_the_earlier(results):
    results.add("case", record("pass"))
    results.add("case", record("fail"))
    assert [entry["verdict"] for entry in written(results)["records"]] == ["fail"]


def test_run_that_json_cannot_hold_is_refused(results):
    results.run["load"] = float("inf")
    with pytest.raises(ValueError, match="not JSON compliant"):
        results.write()
    assert not results.path.exists()


def test_missing_is_null(results):
    results.add("case", record("error"))
    (entry,) = written(results)["records"]
    assert entry["achievement_rate"] is None
    assert entry["duration_s"] is None
    for name in ("speedup", "latency", "quality"):
        assert {entry[name][key] for key in ("low", "high")} == {None}
    text = results.path.read_text()
    assert '"value": null' in text
    assert "NaN" not in text


def test_file_is_replaced_whole_and_nothing_is_left_beside_it(results, monkeypatch):
    results.add("first", record("pass", 1))
    before, replaced = results.path.read_text(), []
    replace = Path.replace

    def watched(self, target):
        assert results.path.read_text() == before, "until then a reader sees the old file"
        assert len(json.loads(self.read_text())["records"]) == 2, "what takes its place is complete"
        assert self.parent == results.path.parent, "only within one file system a replacement is atomic"
        replaced.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    results.add("second", record("pass", 2))
    assert replaced == [results.path]
    assert list(results.path.parent.iterdir()) == [results.path]


def test_record_that_json_cannot_hold_is_refused_and_harms_no_other(results):
    results.add("first", record("pass", 1))
    with pytest.raises(ValueError, match="not JSON compliant"):
        results.add("bad", record("pass", 2) | {"duration_s": float("nan")})
    results.add("third", record("pass", 3))
    assert [entry["prompt_id"] for entry in written(results)["records"]] == [1, 3]


@dataclass
class Evaluated:
    case: AccelerationCase
    record: dict
    samples_log: list = field(default_factory=list)


def test_samples_and_record_lie_under_the_model_of_the_id(tmp_path):
    rows = [{"prompt": "a", "seed": 1}, {"prompt": "ü", "seed": 2}]
    write_samples(tmp_path, Evaluated(case(), record(), rows))
    lines = (tmp_path / "predictions/sd/medium-sd-all-1.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows
    assert json.loads((tmp_path / "results/sd/medium-sd-all-1.json").read_text()) == record()


def test_case_without_samples_has_its_record_only(tmp_path):
    write_samples(tmp_path, Evaluated(case(id="alone"), record()))
    found = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert found == ["results/unknown/alone.json"]
