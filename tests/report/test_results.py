"""Results of a run: the counts, and the JSON file that is valid after every case."""

import dataclasses
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import record, toy_kind

from bench.core.record import SCHEMA_VERSION
from bench.core.verdict import VERDICTS
from bench.report.results import ResultsFile, summarize

KINDS = {"toy": toy_kind()}


@pytest.fixture
def results(tmp_path):
    return ResultsFile(tmp_path / "evaluation_results.json", {"id": "run", "seed": 7}, KINDS)


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


@given(st.lists(st.tuples(st.sampled_from(VERDICTS), st.sampled_from(["red", "blue"]), st.booleans())))
def test_counts_add_up_and_controls_are_counted_apart(toys):
    records = [
        record(verdict, number, colour=colour, expect="crashed" if control else None)
        for number, (verdict, colour, control) in enumerate(toys)
    ]
    summary = summarize(records, KINDS.values())
    tasks = [toy for toy in toys if not toy[2]]
    counted = sum(summary[key] for key in ("passed", "failed", "inconclusive", "errors", "skipped"))
    assert counted == summary["total"] == len(tasks)
    assert summary["controls"]["total"] == len(toys) - len(tasks)
    assert summary["controls"]["rejected"] == sum(v == "pass" and c for v, _, c in toys)
    assert summary["red"] == sum(colour == "red" for _, colour, _ in tasks)
    assert summary["pass_rate"] is None or 0 <= summary["pass_rate"] <= 1


@pytest.mark.parametrize("records", [[], [record("skip")], [record("pass", expect="crashed")]])
def test_pass_rate_is_missing_where_nothing_was_to_decide(records):
    assert summarize(records)["pass_rate"] is None


@pytest.mark.parametrize("verdict", ["inconclusive", "error", "fail"])
def test_what_was_not_decided_is_no_pass(verdict):
    assert summarize([record("pass", 1), record(verdict, 2)])["pass_rate"] == 0.5
    assert summarize([record(verdict)])["pass_rate"] == 0.0


def test_what_a_kind_adds_is_there_without_its_records_too():
    assert summarize([], KINDS.values())["red"] == 0


# The file


def test_file_is_complete_whenever_it_is_written(results):
    for number in range(3):
        results.add(f"case{number}", record("pass", number).to_json())
        results.write()
        content = written(results)
        assert list(content) == ["schema_version", "run", "summary", "records"]
        assert (content["schema_version"], content["run"]) == (SCHEMA_VERSION, {"id": "run", "seed": 7})
        assert content["summary"] == summarize(results.ordered(), KINDS.values())
        assert content["records"] == [entry.to_json() for entry in results.ordered()]
        assert len(content["records"]) == number + 1


def test_what_a_kind_measured_once_for_all_cases_is_in_the_run(tmp_path):
    kind = dataclasses.replace(
        toy_kind(), run_facts=lambda records: {"colours": len(records)} if records else {}
    )
    results = ResultsFile(tmp_path / "evaluation_results.json", {"id": "run"}, {"toy": kind})
    results.write()
    assert written(results)["run"] == {"id": "run"}
    results.add("case", record("pass").to_json())
    results.write()
    assert written(results)["run"] == {"id": "run", "colours": 1}
    assert results.run == {"id": "run"}, "what is known of the run itself stays apart"


def test_file_without_records_is_valid(results):
    results.write()
    assert written(results)["records"] == []


def test_order_of_records_does_not_depend_on_their_arrival(tmp_path):
    arrivals = [("a", 2), ("b", 0), ("c", 1), ("d", 1)]
    texts = set()
    for index, order in enumerate(itertools.permutations(arrivals)):
        results = ResultsFile(tmp_path / f"{index}.json", {}, KINDS)
        for nodeid, number in order:
            results.add(nodeid, record("pass", number).to_json() | {"id": nodeid})
        results.write()
        assert [entry.id for entry in results.ordered()] == ["b", "c", "d", "a"]
        texts.add(results.path.read_text())
    assert len(texts) == 1


def test_later_record_of_a_case_takes_the_place_of_the_earlier(results):
    results.add("case", record("pass").to_json())
    results.add("case", record("fail").to_json())
    results.write()
    assert [entry["verdict"] for entry in written(results)["records"]] == ["fail"]


def test_run_that_json_cannot_hold_is_refused(results):
    results.run["load"] = float("inf")
    with pytest.raises(ValueError, match="not JSON compliant"):
        results.write()
    assert not results.path.exists()


def test_missing_is_null(results):
    results.add("case", record("error").to_json())
    results.write()
    (entry,) = written(results)["records"]
    assert {entry[key] for key in ("achievement_rate", "duration_s", "score", "fun")} == {None}
    assert "NaN" not in results.path.read_text()


def test_file_is_replaced_whole_and_nothing_is_left_beside_it(results, monkeypatch):
    results.add("first", record("pass", 1).to_json())
    results.write()
    before, replaced = results.path.read_text(), []
    replace = Path.replace

    def watched(self, target):
        assert results.path.read_text() == before, "until then a reader sees the old file"
        assert len(json.loads(self.read_text())["records"]) == 2, "what takes its place is complete"
        assert self.parent == results.path.parent, "only within one file system a replacement is atomic"
        replaced.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    results.add("second", record("pass", 2).to_json())
    results.write()
    assert replaced == [results.path]
    assert list(results.path.parent.iterdir()) == [results.path]


def test_record_that_json_cannot_hold_is_refused_and_harms_no_other(results):
    results.add("first", record("pass", 1).to_json())
    with pytest.raises(ValueError, match="not JSON compliant"):
        results.add("bad", record("pass", 2).to_json() | {"duration_s": float("nan")})
    results.add("third", record("pass", 3).to_json())
    results.write()
    assert [entry["order"] for entry in written(results)["records"]] == [1, 3]


def test_a_quick_run_writes_its_file_a_few_times_and_a_slow_one_with_every_record(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("bench.report.results.time.monotonic", lambda: now[0])

    def run(count, seconds_each):
        results = ResultsFile(tmp_path / f"{seconds_each}.json", {}, KINDS)
        sizes = []
        monkeypatch.setattr(
            "bench.report.results.replace_file", lambda path, content: sizes.append(len(content))
        )
        for number in range(count):
            now[0] += seconds_each
            results.add(f"case{number}", record("pass", number).to_json())
            results.write_when_due()
        results.write()
        return sizes

    quick = run(4000, 0.0005)
    assert 2 <= len(quick) < 30
    assert sum(quick) < 2.5 * quick[-1]
    assert len(run(50, 60)) == 51


def test_writing_costs_a_hundredth_of_the_time_at_most(tmp_path, monkeypatch):
    now, spent = [0.0], [0.0]
    monkeypatch.setattr("bench.report.results.time.monotonic", lambda: now[0])

    def slow_disk(path, content):
        now[0] += 0.5
        spent[0] += 0.5

    monkeypatch.setattr("bench.report.results.replace_file", slow_disk)
    results = ResultsFile(tmp_path / "results.json", {}, KINDS)
    for number in range(2000):
        now[0] += 1.0
        results.add(f"case{number % 10}", record("pass", number).to_json())
        results.write_when_due()
    assert spent[0] <= 0.011 * now[0]
