"""Plugins and options that choose, repeat or order tests: the cases that are run have a record each."""

from __future__ import annotations

import pytest
from comparing import by_id
from other_plugins import VERDICTS, needs_plugins, verdicts

pytestmark = [pytest.mark.slow, needs_plugins]

TWICE = {f"{identity}-{number}-2": verdict for identity, verdict in VERDICTS.items() for number in (1, 2)}

# What a run says that ended with the first failure, in its order, or with the second.
STOPPED = {identity: "fail" if identity == "evaluated-bad" else "error" for identity in VERDICTS}


@pytest.mark.parametrize(("plugins", "workers"), [("", ()), ("xdist", ("-n", "1"))], ids=["serial", "n1"])
def test_repeat_gives_each_run_of_a_case_a_record(place, plugins, workers):
    finished = place.evaluated("--count", "2", *workers, plugins=f"repeat {plugins}")
    assert finished.code == 1, finished.output
    assert verdicts(finished) == TWICE
    assert set(place.testcases()) == set(TWICE)


def test_repeat_gives_each_run_of_a_case_files(place):
    finished = place.ranked("-k", "exact-words", "--count", "2", plugins="repeat")
    assert finished.code == 0, finished.output
    files = [path for record in by_id(finished).values() for path in record["files"].values()]
    assert len(files) == len(set(files)) == 12
    assert all((finished.directory / path).is_file() for path in files)


@pytest.mark.parametrize(
    ("plugins", "arguments", "expected"),
    [
        ("randomly", ("-p", "randomly"), VERDICTS),
        ("randomly xdist", ("-n", "2"), VERDICTS),
        ("pytest_order", (), VERDICTS),
        ("pytest-split", ("--splits", "2", "--group", "1"), 2),
        ("pytest-split", ("--splits", "2", "--group", "2"), 2),
        ("pytest_cov", ("--cov=bench.evaluated", "--cov-report="), VERDICTS),
        ("pytest_cov xdist", ("--cov=bench.evaluated", "--cov-report=", "-n", "1"), VERDICTS),
        ("", ("--maxfail", "2"), STOPPED),
    ],
    ids=lambda value: value.replace(" ", "+") if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_run_has_the_record_that_it_has_alone(place, plugins, arguments, expected):
    finished = place.evaluated(*arguments, plugins=plugins)
    assert finished.code in (0, 1), finished.output
    found = verdicts(finished)
    if isinstance(expected, int):
        assert len(found) == expected
        expected = {identity: verdict for identity, verdict in VERDICTS.items() if identity in found}
    assert found == expected
    assert finished.code == (1 if set(found.values()) - {"pass"} else 0), finished.output
    assert finished.results["summary"]["total"] == len(found)


def test_what_stopped_early_was_not_run(place):
    finished = place.evaluated("-x")
    records = by_id(finished)
    assert (finished.code, verdicts(finished)) == (1, STOPPED), finished.output
    assert finished.results["summary"]["total"] == len(records)
    assert [identity for identity, record in records.items() if record["reason_code"] == "not_run"] == [
        "evaluated-broken", "evaluated-good", "evaluated-maybe",
    ]  # fmt: skip


def test_failed_first_last_failed_and_stepwise(place):
    place.evaluated("-k", "bad or good", plugins="cacheprovider")
    again = place.evaluated("-k", "bad or good", "--lf", plugins="cacheprovider")
    assert (again.code, verdicts(again)) == (1, {"evaluated-bad": "fail"})
    first = place.evaluated("-k", "bad or good", "--ff", plugins="cacheprovider")
    assert (first.code, verdicts(first)) == (1, {"evaluated-bad": "fail", "evaluated-good": "pass"})
    step = place.evaluated("-k", "bad or good", "--stepwise", plugins="cacheprovider")
    assert step.code == 2, step.output  # as with any test: it stops at the first failure
    assert by_id(step)["evaluated-good"]["reason_code"] == "not_run"


def test_a_run_that_skipped_everything_is_not_green(place):
    finished = place.evaluated("--benchmark-only", plugins="benchmark")
    assert finished.code == 5, finished.output
    assert set(verdicts(finished).values()) == {"skip"}
    said = "nothing was decided: all 4 cases were skipped (Skipping non-benchmark (--benchmark-only active).)"
    assert said in finished.output


def test_a_run_without_any_that_is_decided_differs_from_one_that_is_not_to_fail(place):
    finished = place.evaluated("-k", "maybe", "--inconclusive", "skip")
    assert (finished.code, verdicts(finished)) == (0, {"evaluated-maybe": "inconclusive"})


@pytest.mark.parametrize("words", [("--co", "-q"), ("--co",)])
def test_collected_cases_are_counted_right(place, words):
    finished = place.ranked(*words, "-k", "words")
    listed = [line for line in finished.output.splitlines() if "[" in line and "words]" in line]
    assert len(listed) == 5, finished.output
    all_of_them = place.ranked(*words)
    listed = [line for line in all_of_them.output.splitlines() if "test_reranking" in line and "[" in line]
    assert f"{len(listed)} tests collected" in all_of_them.output
