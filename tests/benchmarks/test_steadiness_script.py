"""benchmarks/steadiness.py: what each of several runs decides."""

import json
import os
import re
import sys
import time

import psutil


def test_it_prints_a_line_for_each_run(scripts, monkeypatch, capsys):
    """A run of the suite is in the tests of verdict_cost.py; here a small process writes the results of one."""
    import steadiness

    record = {"id": "easy-a-b-1", "verdict": "inconclusive", "reason": "noise"}
    record |= {"speedup": {"value": 1.4, "required": 1.5}, "quality": {}}
    results = {
        "summary": {"total": 2, "passed": 1, "controls": {"total": 3, "rejected": 3}},
        "records": [record],
    }
    asked = []

    def command(kind, directory, arguments, cores):
        asked.append((kind, arguments, cores))
        (directory / "latest").mkdir(parents=True)
        (directory / "latest/evaluation_results.json").write_text(json.dumps(results))
        return [sys.executable, "-c", "raise SystemExit(1)"]

    monkeypatch.setattr(steadiness, "cases_command", command)
    monkeypatch.setattr(
        "sys.argv",
        ["steadiness.py", "--cores", "0", "--runs", "1", "--loaded-runs", "1", "--", "-k", "plain"],
    )
    steadiness.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 cores; pytest cases/test_acceleration.py -n 4 -k plain"
    assert lines[1].split()[:4] == ["run", "exit", "passed", "controls"]
    row = r" +1 +1/2 +3/3 +\d+ +\d+\.\d  easy-a-b-1: noise"
    assert re.fullmatch("quiet" + row, lines[2])
    assert re.fullmatch("loaded" + row, lines[4])
    assert lines[3].strip() == lines[5].strip() == "easy-a-b-1: 1.40x is near the required 1.5x"
    assert asked == [("acceleration", ["-n", "4", "-k", "plain"], {0})] * 2


def test_load_keeps_a_core_busy_and_ends_with_its_block(scripts):
    import steadiness

    core = min(os.sched_getaffinity(0))
    before = set(psutil.Process().children())  # of other tests: a fork server, a resource tracker
    with steadiness.load_on({core}):
        (busy,) = set(psutil.Process().children()) - before
        begin = time.monotonic()
        while (
            sum(busy.cpu_times()[:2]) < 0.05 or busy.cpu_affinity() != [core]
        ) and time.monotonic() - begin < 60:
            time.sleep(0.01)
        assert sum(busy.cpu_times()[:2]) >= 0.05
        assert busy.cpu_affinity() == [core]
    assert not busy.is_running()


def test_speedups_near_their_requirement_are_named(scripts):
    from steadiness import Judged, is_near
    from suite import Quality, Speedup

    def judged(**speedup):
        return Judged("a", "pass", "", Speedup(**speedup), Quality())

    assert is_near(judged(value=1.7, required=1.5))
    assert is_near(judged(value=1.3, required=1.5))
    assert not is_near(judged(value=2.0, required=1.5))
    assert not is_near(judged(value=1.5))
    assert not is_near(judged(required=1.5))


def test_memory_counts_descendants(scripts):
    import steadiness

    assert steadiness.tree_bytes(psutil.Process()) > 1_000_000
