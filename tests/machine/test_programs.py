"""Programs with their tests in two processes: honest ones pass as they would in one."""

from __future__ import annotations

import contextlib
import io
import json
import tomllib
from pathlib import Path

import pytest

from bench.machine.programs import confinement
from bench.machine.programs import runner as running
from bench.machine.programs.confinement import Limits
from bench.machine.programs.objects import Handles, UnreadableValue
from bench.machine.programs.runner import NoJail, ProgramRunner
from bench.machine.programs.values import Reader, ValueWriter


@pytest.fixture(scope="module")
def runner():
    try:
        with ProgramRunner(Limits(seconds=1, wall_s=60)) as made:
            yield made
    except NoJail as error:
        pytest.skip(f"no jail for programs on this system: {error}")


PAIRS = tomllib.loads(Path(__file__).with_name("honest_programs.toml").read_text(encoding="utf-8"))


def passes_in_one_process(program: str, tests: str) -> bool:
    """As `code_eval` decides: the program with its tests below it raises nothing."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(program + "\n" + tests, {})
    except BaseException:
        return False
    return True


@pytest.mark.parametrize("name", PAIRS)
def test_a_program_passes_where_it_would_in_one_process(runner, name, monkeypatch, tmp_path):
    program, tests = PAIRS[name]["program"], PAIRS[name]["tests"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    entry = ("sum",) if "sum(a, b)" in program else ()
    found = runner.run(program, tests, entry=entry)
    assert found.passed == passes_in_one_process(program, tests), found


@pytest.mark.parametrize(
    ("program", "tests", "outcome", "detail"),
    [
        ("def f():\n    return 1", "assert f() == 2, 'two is right'", "failed", "two is right"),
        ("def f():\n    return 1", "x = 1\nassert f() == 2", "failed", "assert f() == 2"),
        ("def f():\n    return {}['a']", "assert f()", "raised", "KeyError: 'a'"),
        ("def f(:", "assert f()", "syntax", "line 1: "),
        ("x = '\x00'", "assert f()", "syntax", "null"),
        ("def f():\n    return 1", "assert f( == 2", "bad_tests", "syntax"),
        ("import numpy", "assert True", "raised", "ModuleNotFoundError: No module named 'numpy'"),
        ("raise ValueError('early')", "assert True", "raised", "ValueError: early"),
    ],
)
def test_how_a_program_ended_is_said(runner, program, tests, outcome, detail):
    found = runner.run(program, tests)
    assert found.outcome == outcome
    assert detail in found.detail


def test_nothing_runs_where_a_part_of_the_jail_is_missing(monkeypatch, tmp_path):
    server = Path(running.__file__).with_name("server.py")
    broken = tmp_path / "server.py"
    lines = "import bench.machine.landlock\n    bench.machine.landlock.version = lambda: 0\n"
    text = server.read_text().replace(
        "    finally:\n        sys.path.remove(root)",
        f"        {lines.replace('    ', '        ')}    finally:\n        sys.path.remove(root)",
    )
    assert text != server.read_text()
    broken.write_text(text)
    monkeypatch.setattr(running, "__file__", str(tmp_path / "runner.py"))
    with pytest.raises(NoJail, match=r"files: .*Landlock of version 0"), ProgramRunner():
        pytest.fail("a program could be run")


def test_a_server_that_does_not_start_is_said(monkeypatch, tmp_path):
    (tmp_path / "server.py").write_text("raise SystemError('broken')\n")
    monkeypatch.setattr(running, "__file__", str(tmp_path / "runner.py"))
    with pytest.raises(NoJail, match="does not start: SystemError: broken"), ProgramRunner():
        pytest.fail("a program could be run")


def test_a_server_that_was_killed_is_started_again(runner):
    runner._process.kill()
    runner._process.wait()
    assert runner.run("def f():\n    return 1", "assert f() == 1").passed


def test_packages_and_homes_are_not_readable():
    found = confinement.readable()
    assert not any("site-packages" in str(path) or "dist-packages" in str(path) for path in found)
    assert not any(
        path in (Path("/"), Path.home(), Path("/usr"), Path("/etc"), Path("/tmp")) for path in found
    )


def through(value):
    """Return a value after a journey, written and read."""
    message = json.loads(json.dumps(ValueWriter(Handles()).message(it=value)))
    return Reader(message, Handles(), lambda number, protocols: (number, protocols)).value("it")


def test_a_cyclic_value_arrives_cyclic():
    made = [1]
    made.append(made)
    found = through(made)
    assert found[0] == 1
    assert found[1] is found


def test_shared_values_arrive_shared():
    inner = {1}
    found = through((inner, [inner]))
    assert found[0] is found[1][0]


@pytest.mark.parametrize(
    "message",
    [
        {}, [], 5, {"nodes": []}, {"it": 1.5, "nodes": []}, {"it": ["node", 0], "nodes": []},
        {"it": ["node", -1], "nodes": [["list", []]]}, {"it": ["int", "zz"], "nodes": []}, {"it": ["what"], "nodes": []},
        {"it": ["yours", 3], "nodes": []}, {"it": ["library", "os", "system"], "nodes": []},
        {"it": ["library", "builtins", "eval"], "nodes": []}, {"it": ["library", "inspect", "stack"], "nodes": []},
        {"it": ["node", 0], "nodes": [["tuple", [["node", 0]]]]}, {"it": ["node", 0], "nodes": [["type", []]]},
        {"it": ["exception", "eval", "eval", []], "nodes": []},
    ],
)  # fmt: skip
def test_a_message_that_no_honest_writer_writes_is_not_read(message):
    with pytest.raises(UnreadableValue):
        Reader(message, Handles(), lambda number, protocols: None).value("it")
