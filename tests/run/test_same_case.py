"""Several tests of one case in a run: each has an id, a record and files of its own."""

from types import SimpleNamespace

import page_runs
import pytest
from toys import ToyCase

from bench.core.errors import UsageProblem
from bench.kinds import KINDS
from bench.report.compare import compare_runs
from bench.report.history import History
from bench.run.merge import merge_runs
from bench.run.process import case_of, tell_apart


def item(nodeid, **params):
    ids = [str(value) for value in params.values()]
    return SimpleNamespace(nodeid=nodeid, callspec=SimpleNamespace(params=dict(params), _idlist=ids))


def test_the_first_test_leaves_the_id_and_the_others_are_named_by_their_test():
    case = ToyCase("toy-1")
    items = [
        item("a/test_x.py::test_one[toy-1]", toy_case=case),
        item("a/test_x.py::TestC::test_one[toy-1]", toy_case=case),
        item("a/test_x.py::test_two[toy-1-fast]", toy_case=case, speed="fast"),
        item("b/test_x.py::test_two[toy-1-fast]", toy_case=case, speed="fast"),
        item("a/test_x.py::test_one[toy-2]", toy_case=ToyCase("toy-2")),
        SimpleNamespace(nodeid="a/test_x.py::test_plain"),
    ]
    tell_apart(items)
    found = [case_of(one) for one in items]
    assert [one and one.id for one in found] == [
        "toy-1",
        "toy-1-a_test_x.py_TestC_test_one",
        "toy-1-fast",
        "toy-1-fast-b_test_x.py_test_two",
        "toy-2",
        None,
    ]
    assert len({one.variant for one in found[:4]}) == 4, "files are named by it"


@pytest.fixture
def pair(tmp_path):
    """Return two runs, as earlier versions wrote them, with two records of one case; one of them fails in the later run."""
    found = []
    for number, verdicts in enumerate((("pass", "pass"), ("fail", "pass"))):
        records = [page_runs.accelerated(1, verdict=verdict) for verdict in verdicts]
        run = page_runs.write_run(tmp_path / str(number), records[:1], day=number + 1)
        file = run / "evaluation_results.json"
        one = file.read_text()
        page_runs.write_run(run, records[1:], day=number + 1)
        other = file.read_text()
        both = one.partition('"records": [')[2].rpartition("]")[0] + "," + other.partition('"records": [')[2]
        file.write_text(one.partition('"records": [')[0] + '"records": [' + both)
        found.append(page_runs.load(run))
    return found


def test_no_record_of_a_case_hides_another(pair, tmp_path):
    before, after = pair
    assert [name for _, name in after.records] == ["medium-sd-deepcache-1", "medium-sd-deepcache-1 (2)"]
    comparison = compare_runs(before, [after], KINDS)
    assert [case.key[1] for case in comparison.regressions] == ["medium-sd-deepcache-1"]
    merged = merge_runs(pair, KINDS)
    assert len(merged.chosen) == 2
    assert any(
        "2 records of the acceleration case medium-sd-deepcache-1 in each of 2 runs" in one
        for one in merged.notes
    )
    with History(tmp_path / "h.sqlite") as history:
        for run in pair:
            history.add(run, KINDS)
        names = {one.name for one in history.series(metric="speedup")}
    assert names == {"medium-sd-deepcache-1", "medium-sd-deepcache-1 (2)"}


def test_runs_with_other_numbers_of_tests_of_a_case_are_not_joined(pair, tmp_path):
    one = page_runs.load(page_runs.write_run(tmp_path / "one", [page_runs.accelerated(1)], day=3))
    with pytest.raises(
        UsageProblem, match=r"medium-sd-deepcache-1 .*\(2 in \S+, 2 in \S+, 1 in \S+\).*not known"
    ):
        merge_runs([*pair, one], KINDS)
    # Of runs that share none of these cases nothing can be taken for another.
    other = page_runs.load(page_runs.write_run(tmp_path / "other", [page_runs.accelerated(2)], day=3))
    merged = merge_runs([pair[0], other], KINDS)
    assert len(merged.chosen) == 3
    assert not any("several tests" in note for note in merged.notes)
    assert not any("several tests" in note for note in merge_runs([one, other], KINDS).notes)
