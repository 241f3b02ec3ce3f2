"""What cannot be written is refused before anything runs, and nothing is left behind by the attempt."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import warm
from small_disks import small_disk
from suites import ROOT, own_environment

from bench.core.errors import UsageProblem
from bench.run import preflight
from bench.run.preflight import Output, check_outputs, check_work_dir, outputs_of

USAGE_ERROR = 4


@pytest.fixture
def mounted():
    """Mounts a small file system of its own; root's write permissions stop at a read-only one."""
    with ExitStack() as disks:
        yield lambda options: disks.enter_context(small_disk(options))


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("below", ["", "out", "out/deep/er", "ö ü [1] 🚀/x"])
def test_a_folder_that_can_be_made_is_accepted_and_not_left_there(tmp_path, below):
    check_work_dir(tmp_path / below)
    assert everything_in(tmp_path) == []


def test_what_is_there_already_stays(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").write_text("text")
    check_work_dir(tmp_path / "out" / "more")
    assert everything_in(tmp_path) == ["out", "out/file"]


def refused_work_dir(path):
    with pytest.raises(UsageProblem) as refused:
        check_work_dir(path)
    message = str(refused.value)
    assert message.startswith(f"--work-dir {path}: found ")
    assert ", expected a folder that can be made and written, with 1 MB free; " in message
    assert "\n" not in message
    return message


def test_a_file_and_a_folder_below_a_file_are_refused(tmp_path):
    (tmp_path / "file").write_text("text")
    assert "found a file where a folder is needed, " in refused_work_dir(tmp_path / "file")
    assert f"needed ({tmp_path / 'file'})" in refused_work_dir(tmp_path / "file" / "a" / "b")
    assert everything_in(tmp_path) == ["file"]


def test_names_that_no_file_system_takes_are_refused(tmp_path):
    assert "a name that is too long" in refused_work_dir(tmp_path / "new" / ("x" * 300))
    (tmp_path / "loop").symlink_to("loop")
    assert "links that lead to each other" in refused_work_dir(tmp_path / "loop" / "out")
    assert "a name that is none" in refused_work_dir(tmp_path / "a\0b")
    assert everything_in(tmp_path) == ["loop"]


@pytest.mark.parametrize("below", ["", "out", "a/b"])
def test_a_read_only_file_system_is_refused_to_root_too(mounted, below):
    place = mounted("ro")
    assert "a read-only file system" in refused_work_dir(place / below)


@pytest.mark.skipif(os.geteuid() == 0, reason="root passes every check of permissions")
def test_a_folder_without_write_permission_is_refused(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    assert "no permission to write there" in refused_work_dir(tmp_path / "closed" / "out")


@pytest.mark.parametrize("below", ["", "a/b"])
def test_a_nearly_full_file_system_is_refused_and_nothing_is_left_on_it(mounted, below):
    place = mounted("size=500k")
    assert "a full file system" in refused_work_dir(place / below)
    assert everything_in(place) == []


def test_runs_that_start_together_do_not_disturb_each_other(tmp_path):
    problems = []

    def attempt():
        try:
            for _ in range(20):
                check_work_dir(tmp_path / "a" / "b")
        except UsageProblem as problem:
            problems.append(str(problem))

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_a_name_that_is_no_utf_8_is_refused(tmp_path):
    preflight.check_names((tmp_path, tmp_path / "ö ü [1] 🚀"))
    with pytest.raises(UsageProblem, match=r"a.b: found a name .* in UTF-8; rename the folder"):
        preflight.check_names((tmp_path, tmp_path / "a\udcffb"))


# Files that are written at the end


def test_a_file_that_can_be_written_is_accepted_and_keeps_what_it_holds(tmp_path):
    (tmp_path / "old").write_text("text")
    check_outputs([Output("--x", tmp_path / "old"), Output("--x", tmp_path / "new")])
    check_outputs([Output("--x", tmp_path / "a" / "b" / "new", makes_folders=True)])
    assert everything_in(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "text"


def test_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    check_outputs([Output("--x", tmp_path / "pipe"), Output("--x", tmp_path / "pipe", makes_folders=True)])


def refused_output(path, **more):
    with pytest.raises(UsageProblem) as refused:
        check_outputs([Output("$GITHUB_STEP_SUMMARY", path, **more)])
    assert str(refused.value).startswith(f"$GITHUB_STEP_SUMMARY {path}: found ")
    return str(refused.value)


def test_a_file_that_cannot_be_written_is_refused(tmp_path, mounted):
    (tmp_path / "file").touch()
    assert "found a folder, " in refused_output(tmp_path)
    assert "not there and cannot be made" in refused_output(tmp_path / "lacks" / "file")
    assert "a file where a folder is needed" in refused_output(tmp_path / "file" / "x", makes_folders=True)
    assert "a read-only file system" in refused_output(mounted("ro") / "summary.md")
    full = mounted("size=8k")
    (full / "fills").write_bytes(bytes(8192))
    assert "a full file system" in refused_output(full / "summary.md")
    assert everything_in(full) == ["fills"]


def test_outputs_are_those_that_were_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("REPORTS", str(tmp_path / "r"))
    options = SimpleNamespace(xmlpath="$REPORTS/x.xml", benchmark_json="b.json")
    found = outputs_of(options, {"GITHUB_STEP_SUMMARY": "s.md"}, tmp_path)
    assert [output.path for output in found] == [
        tmp_path / "r" / "x.xml",
        tmp_path / "b.json",
        tmp_path / "s.md",
    ]
    assert outputs_of(SimpleNamespace(), {"GITHUB_STEP_SUMMARY": ""}, tmp_path) == []


def test_no_folder_for_temporary_files_is_refused(monkeypatch):
    def none():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none)
    with pytest.raises(UsageProblem, match=r"temporary files: found no folder .*; set TMPDIR, or make room"):
        preflight.check_scratch()


# The command line


def run(*arguments, environment=None):
    return warm.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "cases/test_reranking.py", "-k", "digits", *arguments],
        cwd=ROOT, timeout=120, env=own_environment(environment),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "workers"),
    [
        ("--work-dir", ()),
        ("--work-dir", ("-n", "2")),
        ("--junitxml", ()),
        ("--benchmark-json", ("-n", "2")),
        ("GITHUB_STEP_SUMMARY", ()),
    ],
)
def test_a_run_that_could_not_write_ends_with_one_line_before_it_begins(tmp_path, what, workers):
    (tmp_path / "file").touch()
    place = str(tmp_path / "file" / "x")
    arguments = () if what == "GITHUB_STEP_SUMMARY" else (what, place)
    if what != "--work-dir":
        arguments += ("--work-dir", str(tmp_path / "out"))
    finished = run(
        *workers, *arguments, environment={"GITHUB_STEP_SUMMARY": place if what not in arguments else ""}
    )
    output = finished.stdout + finished.stderr
    assert finished.returncode == USAGE_ERROR, output
    lines = [line for line in output.splitlines() if line.strip()]
    assert len(lines) == 1, output
    assert lines[0].startswith(
        f"ERROR: {what if arguments[:1] == (what,) else '$' + what} {place}: found a file"
    )
    assert everything_in(tmp_path) == ["file"]


@pytest.mark.slow
def test_what_only_lists_the_cases_writes_nothing_and_checks_nothing(tmp_path):
    (tmp_path / "file").touch()
    assert run("--collect-only", "-q", "--work-dir", str(tmp_path / "file")).returncode == 0
