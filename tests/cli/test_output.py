"""A reader that has seen enough, such as ``head``, changes no exit code."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from suites import ROOT, own_environment

from bench.cli.output import read_or_not

PROGRAM = """
import sys
from bench.cli import main
main.run_command = lambda given: [print("x" * 5000, flush=True) for _ in range(100)] and 3
sys.exit(main.main(["history", "a"]))
"""


@pytest.mark.parametrize(
    "program", [PROGRAM, PROGRAM.replace(", flush=True", "")], ids=["flushed", "at the end"]
)
def test_the_exit_code_is_that_of_the_command_when_nobody_reads(program):
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=own_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout.read(100) == b"x" * 100
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 3


def test_what_is_printed_arrives_in_full(capfd):
    with capfd.disabled():
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env=own_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout == ("x" * 5000 + "\n") * 100
    assert done.returncode == 3


def test_another_stdout_is_left_alone(monkeypatch):
    other = io.StringIO()
    monkeypatch.setattr(sys, "stdout", other)
    with read_or_not():
        print("a")
    assert sys.stdout is other
    assert other.getvalue() == "a\n"


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", b"\\u2191 \\xfc \\udcff"), ("utf-8", "↑ ü \\udcff".encode())]
)
def test_a_character_that_cannot_be_shown_ends_no_command(encoding, shown):
    program = PROGRAM.replace(
        'print("x" * 5000, flush=True) for _ in range(100)', r'print("\u2191 \xfc \udcff")'
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=own_environment({"PYTHONIOENCODING": encoding}),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, shown + b"\n", b"")


def test_what_there_is_no_room_for_is_said_and_no_success():
    program = PROGRAM.replace("and 3", "and 0")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=own_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 4
    assert done.stderr == "stdout: No space left on device; what was to be printed is lost\n"
