"""The plugin that pytest finds by its entry point: nothing where it is not asked for, everything where it is."""

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli.judge import plugin_arguments
from bench.shipped import shipped_root

_ROOT = shipped_root()
_PIPELINES = _ROOT / "fixtures" / "pipelines"
_PROMPTS = _ROOT / "fixtures" / "datasets" / "shapes_prompts.jsonl"
_CLIP = _ROOT / "fixtures" / "zoo" / "tiny-clip"
_ENTRY = plugin_arguments()


def _pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in somebody's project as its entry point would have it."""
    command = [sys.executable, "-m", "pytest", *_ENTRY, "-p", "no:cacheprovider", *arguments]
    environment = {"PYTHONPATH": str(_ROOT), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a package ``fixtures`` of its own, and a task list whose candidate does not exist."""
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "fixtures" / "__init__.py").write_text("OWN = True\n")
    (tmp_path / "test_own.py").write_text(
        "import fixtures, sys\n"
        "def test_own(): assert fixtures.OWN\n"
        "def test_unused(): assert ('bench.plugin' in sys.modules) == fixtures.ON\n"
    )
    (tmp_path / "fixtures" / "__init__.py").write_text("OWN = True\nON = False\n")
    task = {
        "prompt_id": 1, "difficulty": "easy", "prompt_context": "20 steps",
        "target_file": str(_PIPELINES / "baselines" / "ddim_20.py"),
        "baseline_file": str(_PIPELINES / "baselines" / "ddim_20.py"), "candidate_file": "gone.py",
    }  # fmt: skip
    (tmp_path / "tasks.json").write_text(json.dumps([task]))
    return tmp_path


def _switch_on(project: Path, *lines: str) -> None:
    (project / "fixtures" / "__init__.py").write_text("OWN = True\nON = True\n")
    (project / "pytest.ini").write_text("\n".join(["[pytest]", *lines, ""]))


class TestUnused:
    def test_another_projects_tests_run_as_before_and_nothing_is_imported(self, project):
        (project / "pytest.ini").write_text("[pytest]\naddopts = --strict-config --strict-markers\n")
        done = _pytest(project, "-q", "--strict-markers")
        assert done.returncode == 0, done.stdout
        assert "2 passed" in done.stdout
        assert "modelgate" not in done.stdout

    def test_it_imports_nothing_but_pytest(self):
        code = (
            "import sys, pytest, _pytest.config.findpaths; before = set(sys.modules); import modelgate_plugin; "
            "print(sorted(set(sys.modules) - before))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "['modelgate_plugin']"

    def test_its_only_hooks_are_those_of_the_beginning(self):
        import modelgate_plugin

        assert [name for name in vars(modelgate_plugin) if name.startswith("pytest_")] == [
            "pytest_addoption", "pytest_load_initial_conftests",
        ]  # fmt: skip


@pytest.fixture
def namesake(project: Path) -> Path:
    """The project, with a package ``bench`` of its own next to its tests."""
    (project / "bench").mkdir()
    (project / "bench" / "__init__.py").write_text("OWN = True\n")
    (project / "test_bench.py").write_text("import bench\ndef test_bench(): assert bench.OWN\n")
    return project


class TestNextToAPackageOfTheSameName:
    def test_that_project_imports_its_own(self, namesake):
        done = _pytest(namesake, "-q")
        assert "3 passed" in done.stdout, done.stdout

    def test_it_is_named_where_it_would_be_taken_for_ours(self, namesake):
        _switch_on(namesake, "modelgate = true")
        done = _pytest(namesake, "-q")
        assert done.returncode == 4
        assert (
            f"found the one in {namesake / 'bench'} where its own package `bench` was expected" in done.stderr
        )

    def test_a_file_in_that_project_is_judged(self, namesake):
        (namesake / "candidate.py").write_text("x = (\n")
        command = [
            sys.executable, "-c", "import sys; from bench.cli.main import main; import os; os.chdir(sys.argv.pop(1)); "
            "sys.exit(main(sys.argv[1:]))", str(namesake), "judge", "candidate.py", "--baseline",
            str(_PIPELINES / "baselines" / "ddim_20.py"), "--json",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stdout + done.stderr
        assert json.loads(done.stdout)["reason_code"] == "load_failed"


class TestSwitchedOn:
    def test_the_ini_value_gives_own_tests_the_options_and_fixtures(self, project):
        _switch_on(project, "modelgate = true")
        (project / "test_case.py").write_text(
            "def test_case(acceleration_case, evaluation):\n    assert evaluation.verdict().holds\n"
        )
        done = _pytest(project, "-q", "--tasks=tasks.json", f"--prompts={_PROMPTS}", f"--clip={_CLIP}")
        assert done.returncode == 1
        assert "gone.py" in done.stdout, done.stdout
        assert "FAILED test_case.py::test_case" in done.stdout

    def test_the_environment_does_the_same(self, project):
        (project / "fixtures" / "__init__.py").write_text("OWN = True\nON = True\n")
        command = [sys.executable, "-m", "pytest", *_ENTRY, "-q"]
        environment = {"PYTHONPATH": str(_ROOT), "PATH": "/usr/bin:/bin", "MODELGATE": "1"}
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert "2 passed" in done.stdout, done.stdout

    def test_the_flag_adds_the_cases_of_the_kinds_that_were_named(self, project):
        _switch_on(project)
        found = _pytest(
            project,
            "-q",
            "--collect-only",
            "--modelgate",
            "--tasks=tasks.json",
            f"--prompts={_PROMPTS}",
            f"--clip={_CLIP}",
        ).stdout
        assert "modelgate/test_acceleration.py::test_candidate[easy-tiny_sd-ddim-1]" in found, found
        assert "test_own.py::test_own" in found
        assert "test_language" not in found

    def test_the_environment_names_kinds_too(self, project):
        command = [sys.executable, "-m", "pytest", *_ENTRY, "-q", "--collect-only", "--modelgate"]
        environment = {
            "PYTHONPATH": str(_ROOT), "PATH": "/usr/bin:/bin", "MODELGATE_TASKS": "tasks.json",
            "MODELGATE_PROMPTS": str(_PROMPTS), "MODELGATE_CLIP": str(_CLIP), "MODELGATE_MODELS": "",
        }  # fmt: skip
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert "modelgate/test_acceleration.py::test_candidate[easy-tiny_sd-ddim-1]" in done.stdout, (
            done.stdout
        )
        assert "test_language" not in done.stdout

    def test_workers_collect_the_same(self, project):
        _switch_on(project)
        done = _pytest(
            project,
            "-q",
            "-n",
            "2",
            "--modelgate",
            "--tasks=tasks.json",
            f"--prompts={_PROMPTS}",
            f"--clip={_CLIP}",
        )
        assert "1 failed, 2 passed" in done.stdout, done.stdout
        assert "FAILED modelgate/test_acceleration.py" in done.stdout

    def test_the_flag_with_nothing_to_judge_is_refused(self, project):
        _switch_on(project)
        done = _pytest(project, "-q", "--modelgate")
        assert done.returncode == 4
        assert (
            "found nothing to judge, expected tasks, models, encoders or rankers" in done.stderr + done.stdout
        )

    def test_the_ini_file_of_another_folder_is_refused(self, project):
        _switch_on(project)
        other = project / "other"
        other.mkdir()
        (other / "pytest.ini").write_text("[pytest]\n")
        (other / "prompts.txt").write_text("a circle\n")
        done = _pytest(project, "-q", "--modelgate", "--prompts", "other/prompts.txt")
        assert done.returncode == 4
        told = done.stderr + done.stdout
        assert "other/pytest.ini: found pytest reading it" in told, told
        assert "write such options with an equals sign" in told


class TestInTheFolderOfWhatShips:
    """There its own conftest.py switches the suite on, unless pytest is told to read another one."""

    @pytest.mark.parametrize("line", ["", "modelgate = true"])
    @pytest.mark.parametrize("folder", [".", "docs"])
    def test_an_ini_file_and_cases_of_elsewhere_are_judged(self, project, folder, line):
        _switch_on(project, line)
        done = _pytest(
            _ROOT / folder, "-q", "--modelgate", "-c", str(project / "pytest.ini"), f"--rootdir={project}",
            f"--confcutdir={project}", f"--tasks={project / 'tasks.json'}", f"--prompts={_PROMPTS}", f"--clip={_CLIP}",
            f"--work-dir={project / 'out'}", str(project),
        )  # fmt: skip
        assert "1 failed, 2 passed" in done.stdout, done.stdout + done.stderr

    def test_its_own_conftest_is_left_to_do_it(self):
        done = _pytest(_ROOT, "-q", "--modelgate", "--collect-only", "cases/test_acceleration.py")
        assert re.search(r"^\d+ tests collected", done.stdout, re.MULTILINE), done.stdout + done.stderr
        assert "modelgate/test_acceleration.py" not in done.stdout

    def test_a_candidate_is_judged_from_there(self, tmp_path):
        command = [
            sys.executable, "-m", "bench", "judge", str(tmp_path / "candidate.py"), "--baseline",
            "fixtures/pipelines/baselines/ddim_20.py", "--json", f"--work-dir={tmp_path / 'out'}",
        ]  # fmt: skip
        (tmp_path / "candidate.py").write_text("x = (\n")
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "x = (" in json.loads(done.stdout)["reason"] or "line 1" in json.loads(done.stdout)["reason"]


class TestOnTheScreen:
    def test_a_log_has_a_whole_line_for_each_case(self, project):
        _switch_on(project)
        done = _pytest(
            project,
            "-n",
            "2",
            "--modelgate",
            "--tasks=tasks.json",
            f"--prompts={_PROMPTS}",
            f"--clip={_CLIP}",
        )
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("error ")]
        assert re.match(r"error easy-tiny_sd-ddim-1  task_invalid +1/1  0:\d\d$", line), line
        assert max(map(len, done.stdout.splitlines())) < 400
        assert "\x1b" not in done.stdout

    def test_a_terminal_is_drawn_on_and_left_as_it_was(self, project):
        _switch_on(project)
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "pytest", *_ENTRY, "-p", "no:cacheprovider", "--modelgate"]
        command += ["--tasks=tasks.json", f"--prompts={_PROMPTS}", f"--clip={_CLIP}"]
        environment = {
            "PYTHONPATH": str(_ROOT),
            "PATH": "/usr/bin:/bin",
            "TERM": "xterm",
            "COLUMNS": "80",
            "LINES": "24",
        }
        with subprocess.Popen(
            command, cwd=project, env=environment, stdout=theirs, stderr=theirs, stdin=theirs
        ) as running:
            os.close(theirs)
            text = b""
            with contextlib.suppress(OSError):  # the other end is closed
                while chunk := os.read(ours, 65536):
                    text += chunk
            os.close(ours)
        shown = re.sub(r"\x1b\[[0-9;]*m", "", text.decode(errors="replace"))
        assert running.returncode == 1
        assert "\x1b[?25l" in shown, shown  # the cursor is hidden while it is drawn
        assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
        assert "error easy-tiny_sd-ddim-1" in shown
        assert "1 failed, 2 passed" in shown, shown


class TestUndecided:
    def test_a_green_test_that_decides_nothing_is_no_pass(self, project):
        _switch_on(project, "modelgate = true")
        task = json.loads((project / "tasks.json").read_text())[0]
        task["candidate_file"] = task["target_file"]
        (project / "tasks.json").write_text(json.dumps([task]))
        (project / "test_case.py").write_text(
            "def test_case(acceleration_case):\n    assert acceleration_case.id\n"
        )
        done = _pytest(
            project, "-q", "test_case.py", "--tasks=tasks.json", f"--prompts={_PROMPTS}", f"--clip={_CLIP}"
        )
        assert done.returncode == 1, done.stdout
        assert "the test ended before the case was decided" in done.stdout
        results = json.loads((project / "outputs/default/latest/evaluation_results.json").read_text())
        assert [record["reason_code"] for record in results["records"]] == ["not_decided"]
