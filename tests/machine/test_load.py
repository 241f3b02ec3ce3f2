"""How busy processors and processes are, from what the kernel writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.machine.load import busy_s, used_s

TICKS = os.sysconf("SC_CLK_TCK")
STAT = f"""cpu  9 9 9 9 9 9 9 9 9 9
cpu0 {TICKS} {2 * TICKS} {4 * TICKS} 1000 1000 {8 * TICKS} {16 * TICKS} {32 * TICKS} {64 * TICKS} 7
cpu1 {TICKS} 0 0 500 0 0 0 0 0 0
cpu10 0 0 {3 * TICKS} 500 0 0 0 0 0 0
intr 55 1 2
ctxt 4
"""


@pytest.mark.parametrize(("cpus", "seconds"), [({0}, 63.0), ({1}, 1.0), ({1, 10}, 4.0), (set(), 0.0)])
def test_busy_is_all_but_idle_and_waiting_and_guests_count_once(cpus, seconds):
    assert busy_s(STAT, cpus) == seconds


@pytest.mark.parametrize("text", ["", "cpu  1 2 3 4 5 6 7 8", "cpu2 1 2 3", "cpu2", "intr 2"])
def test_processors_that_the_system_does_not_tell_of_have_no_time(text):
    assert busy_s(text, {2}) is None


def test_a_process_counts_with_its_threads_and_ended_children_whatever_its_name():
    numbers = " ".join(
        ["S", *map(str, range(10)), str(TICKS), str(2 * TICKS), str(4 * TICKS), str(8 * TICKS), "20"]
    )
    assert used_s(f"77 (a) S 1 (2) b) {numbers}") == 15.0


def test_the_kernel_of_this_machine_writes_what_is_read():
    burn = [sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"]
    before = busy_s(Path("/proc/stat").read_text(), os.sched_getaffinity(0))
    with subprocess.Popen(burn) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # leaves its entry in /proc
        assert used_s(Path(f"/proc/{process.pid}/stat").read_text()) >= 0.25
    after = busy_s(Path("/proc/stat").read_text(), os.sched_getaffinity(0))
    assert after - before >= 0.2
