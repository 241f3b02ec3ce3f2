"""Programs that try to pass without doing what is asked, to harm, or to stay: none of them does, and the next one runs."""

from __future__ import annotations

import os
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from bench.machine.programs.confinement import Limits
from bench.machine.programs.runner import NoJail, ProgramRunner

TESTS = """
def check(candidate):
    assert candidate(2, 3) == 5
    assert candidate(-1, 1) == 0
    assert candidate(400, 71) == 471

check(add)
"""
RIGHT = "def add(a, b):\n    return a + b\n"


# A busy machine takes long for little; what never ends need not be waited for.
PATIENT = Limits(seconds=1, wall_s=60, memory_bytes=2**28)
IMPATIENT = replace(PATIENT, wall_s=2)


@pytest.fixture(scope="module")
def runner():
    try:
        with ProgramRunner(PATIENT) as made:
            yield made
    except NoJail as error:
        pytest.skip(f"no jail for programs on this system: {error}")


HOSTILE = tomllib.loads(Path(__file__).with_name("hostile_programs.toml").read_text(encoding="utf-8"))
COMPARING = tomllib.loads(Path(__file__).with_name("comparing_programs.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_does_not_pass(runner, name):
    runner.limits = IMPATIENT if HOSTILE[name].get("outcome", "timed_out") == "timed_out" else PATIENT
    found = runner.run(HOSTILE[name]["program"], TESTS, entry=("add",))
    runner.limits = PATIENT
    assert not found.passed
    assert HOSTILE[name].get("outcome", found.outcome) == found.outcome, found
    assert not Path("/tmp/modelgate-was-here").exists()


def test_a_right_program_passes_after_all_of_them_and_nothing_is_left(runner):
    assert runner.run(RIGHT, TESTS, entry=("add",)).passed
    server = runner._process.pid
    children = Path(f"/proc/{server}/task/{server}/children")
    assert not children.read_text().split()
    assert os.listdir(runner._folder) == ["scratch"]
    assert not os.listdir(runner._folder / "scratch")


# It looks for 91827364, which it knows in reverse only.
LOOKING = """
import gc, sys

def looked_at():
    frame = sys._getframe()
    while frame:
        yield from (frame.f_globals, frame.f_locals, frame.f_code.co_consts)
        frame = frame.f_back
    yield from gc.get_objects()

def found():
    for thing in list(looked_at()):
        if "46372819" in repr(thing)[:10**6][::-1]:
            return True
    try:
        with open("/proc/self/mem", "rb"):
            return True
    except OSError:
        return False

def add(a, b):
    return int("46372819"[::-1]) if found() else 0
"""


def test_what_the_tests_expect_is_nowhere_in_the_process_of_the_program(runner):
    assert runner.run(LOOKING, "assert add(1, 2) == 91827364").outcome == "failed"


def test_a_test_that_catches_everything_does_not_hide_that_the_program_is_gone(runner):
    tests = (
        "try:\n    add(1, 2)\n    raised = False\nexcept BaseException:\n    raised = True\nassert raised\n"
    )
    assert runner.run("import os\ndef add(a, b):\n    os._exit(0)\n", tests).outcome == "ended"
    assert runner.run("def add(a, b):\n    raise ValueError\n", tests).passed


@pytest.mark.parametrize("name", COMPARING)
def test_no_program_changes_what_a_test_compares_with(runner, name):
    one = COMPARING[name]
    found = runner.run(one["program"], one["tests"], one.get("helpers", ""), (one["entry"],))
    assert found.outcome in ("failed", "raised", "unreadable"), found


def test_there_are_programs_of_many_kinds():
    assert len(HOSTILE) + len(COMPARING) > 50
