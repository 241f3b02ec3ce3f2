"""benchmarks/steadiness.py: what each of several runs decides."""

import os
import re
import time

import arms
import psutil
import pytest

from bench.acceleration.host import kept_server


@pytest.mark.slow
def test_it_prints_a_line_for_a_run(run_script):
    printed = run_script(
        "steadiness.py", "--runs", "1", "--loaded-runs", "0", "--", "-n", "0", "-k", "tiny_sd-plain-1",
        "--num-samples", "2", "--batch-size", "1", "--ungated-rounds", "6",
        **{kept_server.VARIABLE: arms.kept_server()},
    )  # fmt: skip
    lines = printed.splitlines()
    assert lines[0].startswith("1 cores; pytest cases/test_acceleration.py -n 4 -n 0 -k tiny_sd-plain-1")
    assert lines[1].split()[:4] == ["run", "exit", "passed", "controls"]
    assert re.match(r"quiet +[01] +[01]/1 +0/0 +\d+ +\d+\.\d  \S", lines[2])


def test_load_keeps_a_core_busy_and_ends_with_its_block(scripts):
    import steadiness

    core = min(os.sched_getaffinity(0))
    before = set(psutil.Process().children())  # of other tests: a fork server, a resource tracker
    with steadiness.load_on({core}):
        (busy,) = set(psutil.Process().children()) - before
        begin = time.monotonic()
        while sum(busy.cpu_times()[:2]) < 0.05 and time.monotonic() - begin < 60:
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
