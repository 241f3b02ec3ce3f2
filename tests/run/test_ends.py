"""However a run ends, no finished record is lost, the end is said, and the next run goes on from there."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import arms
import psutil
import pytest
from small_disks import small_disk
from suites import ROOT, Suite, own_environment

from bench.acceleration.host import kept_server
from bench.cli.main import main

pytestmark = pytest.mark.slow

EVALUATION = next((ROOT / "tests/run/contract/evaluations").glob("*.json"))
NAP = """
import os, time, pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    time.sleep(float(os.environ["NAP"]))
    return (yield)
"""


SIGNAL_IN_REPORT = """
import os, signal, pytest

@pytest.hookimpl(tryfirst=True)  # before the plugin that writes JUnit's file
def pytest_runtest_logreport(report):
    if report.when == "call" and "m-002" in report.nodeid and "PYTEST_XDIST_WORKER" not in os.environ:
        os.kill(os.getpid(), signal.SIGTERM)
"""


SIGNAL_AT_THE_END = """
import os, signal

def pytest_sessionfinish():  # within the wrapper that has decided and recorded everything
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.kill(os.getpid(), signal.SIGTERM)
"""


class Quick:
    """Runs of many quick cases, evaluations that a training script left, in a folder of their own."""

    def __init__(self, directory: Path, count: int) -> None:
        self.directory, self.work = directory, directory / "out"
        (directory / "nap.py").write_text(NAP)
        self.folder = directory / "evaluations"
        self.folder.mkdir()
        for number in range(count):
            (self.folder / f"m-{number:03d}.json").write_text(EVALUATION.read_text())

    def start(self, *arguments: str, nap: float = 0.0, **more: str) -> subprocess.Popen:
        (self.directory / "tmp").mkdir(exist_ok=True)
        return subprocess.Popen(
            [
                # A run in the background, or under nohup, ignores some signals, and so would what it starts.
                "env", "--default-signal=TERM,HUP,INT",
                sys.executable, "-m", "pytest", str(ROOT / "cases/test_evaluated.py"), "-p", "nap", "-q",
                "-p", "no:cacheprovider", "--rootdir", str(ROOT), "-c", str(ROOT / "pytest.ini"),
                "--evaluated", str(self.folder), "--work-dir", str(self.work),
                "--junitxml", str(self.directory / "junit.xml"), *arguments,
            ],
            cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=own_environment({
                "NAP": str(nap), "PYTHONPATH": f"{ROOT}:{self.directory}", "TMPDIR": str(self.directory / "tmp"), **more,
            }),
        )  # fmt: skip

    def run(self, *arguments: str, **more: str) -> tuple[int, str]:
        process = self.start(*arguments, **more)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output

    def wait_for_records(self, process: subprocess.Popen, count: int) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            if len(self.journal()) >= count:
                return
            time.sleep(0.02)
        raise AssertionError(f"{len(self.journal())} records of {count}: {process.poll()}")

    def journal(self, run: str = "latest") -> list[str]:
        try:
            lines = (self.work / run / "records.jsonl").read_text().split("\n")[:-1]
        except FileNotFoundError:
            return []
        return [entry["nodeid"] for line in lines if "nodeid" in (entry := json.loads(line))]

    def results(self, run: str = "latest") -> dict:
        return json.loads((self.work / run / "evaluation_results.json").read_text())

    def left_behind(self) -> list[str]:
        names = [path.name for path in (self.directory / "tmp").iterdir()]
        return [name for name in names if not name.startswith("pytest-of-")]


@pytest.fixture
def quick(tmp_path: Path) -> Quick:
    return Quick(tmp_path, 30)


def done(results: dict) -> list[str]:
    return [record["id"] for record in results["records"] if record["reason_code"] != "not_run"]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_whole_run_says_so(quick: Quick, workers: str) -> None:
    code, output = quick.run("-n", workers)
    assert code == 0, output
    run = quick.results()["run"]
    assert (run["state"], run["exit_status"], run["collected"]) == ("finished", 0, 30)
    assert run["finished"] >= run["started"]
    assert len(done(quick.results())) == len(quick.journal()) == 30
    assert quick.left_behind() == []
    assert not (quick.work / "latest" / ".running").exists()


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_a_run_with_everything_said(quick: Quick, workers: str, number: int) -> None:
    process = quick.start("-n", workers, nap=0.3)
    quick.wait_for_records(process, 3)
    process.send_signal(number)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    results = quick.results()
    run = results["run"]
    assert (run["state"], run["exit_status"], run["collected"]) == ("interrupted", 2, 30)
    assert len(results["records"]) == 30
    finished = done(results)
    assert sorted(finished) == sorted(nodeid.partition("[")[2][:-1] for nodeid in quick.journal())
    assert f"{30 - len(finished)} collected cases were not run" in output
    tests = ElementTree.parse(quick.directory / "junit.xml").getroot().iter("testcase")
    assert len(list(tests)) == len(finished)
    assert quick.left_behind() == []


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_signal_amid_a_report_waits_until_every_plugin_has_taken_it(quick: Quick, workers: str) -> None:
    (quick.directory / "signal_in_report.py").write_text(SIGNAL_IN_REPORT)
    code, output = quick.run("-n", workers, "-p", "signal_in_report")
    assert code == pytest.ExitCode.INTERRUPTED, output
    tests = [
        case.get("name").partition("[")[2][:-1]
        for case in ElementTree.parse(quick.directory / "junit.xml").getroot().iter("testcase")
    ]
    assert "evaluated-m-002" in tests
    assert sorted(tests) == sorted(done(quick.results()))


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_signal_after_everything_was_decided_leaves_no_report_out(quick: Quick, workers: str) -> None:
    (quick.directory / "signal_at_the_end.py").write_text(SIGNAL_AT_THE_END)
    code, output = quick.run("-n", workers, "-p", "signal_at_the_end")
    assert code == pytest.ExitCode.OK, output
    assert "KeyboardInterrupt" not in output
    assert quick.results()["run"]["state"] == "finished"
    assert len(list(ElementTree.parse(quick.directory / "junit.xml").getroot().iter("testcase"))) == len(
        done(quick.results())
    )


def test_a_killed_run_is_completed_by_the_next_one_which_goes_on_from_there(quick: Quick) -> None:
    process = quick.start("-n", "2", nap=0.3)
    quick.wait_for_records(process, 5)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive
    killed = (quick.work / "latest").resolve().name
    assert quick.results()["run"]["state"] == "running"
    code, output = quick.run("-n", "2", "--reuse", "latest")
    assert code == 0, output
    assert f"completed the results of a run that had died: {quick.work / killed}" in output
    dead = quick.results(killed)
    assert dead["run"]["state"] == "died"
    assert len(dead["records"]) == 30
    assert sorted(done(dead)) == sorted(nodeid.partition("[")[2][:-1] for nodeid in quick.journal(killed))
    reused = [record["id"] for record in quick.results()["records"] if record["reused"] == killed]
    assert sorted(reused) == sorted(done(dead))
    assert f"{len(reused)} of 30 results taken over from run {killed}" in output
    assert quick.left_behind() == []


def test_report_completes_a_killed_run_and_leaves_a_running_one_alone(quick: Quick) -> None:
    def report(run: str) -> tuple[int, str]:
        found = subprocess.run(
            [sys.executable, "-m", "bench", "report", str(quick.work / run)], cwd=ROOT, capture_output=True,
            text=True, check=False, env=own_environment(),
        )  # fmt: skip
        return found.returncode, found.stdout + found.stderr

    process = quick.start("-n", "0", nap=0.3)
    quick.wait_for_records(process, 2)
    code, said = report("latest")
    assert (code, "it still runs" in said) == (0, True), said
    assert quick.results()["run"]["state"] == "running"
    process.kill()
    process.communicate()
    code, said = report("latest")
    assert code == 0
    assert "died" in said
    assert f"{30 - len(quick.journal())} of 30 cases were not run" in said
    assert quick.results()["run"]["state"] == "died"
    assert not (quick.work / "latest" / ".running").exists()
    code, said = report("nowhere")
    assert code == 4
    assert "found no records.jsonl" in said


def test_report_writes_the_results_of_a_finished_run_again_only_where_there_are_none(quick: Quick) -> None:
    assert quick.run("-k", "m-001")[0] == 0
    run, before = quick.work / "latest", quick.results()
    file = run / "evaluation_results.json"
    cut = file.read_bytes()[:200]
    file.write_bytes(cut)
    assert main(["report", str(run), "--no-html"]) == 0
    assert file.read_bytes() == cut
    file.unlink()
    assert main(["report", str(run), "--no-html"]) == 0
    assert quick.results() == before


def test_latest_moves_with_the_first_record_only(quick: Quick) -> None:
    quick.run("-k", "m-001")
    before = (quick.work / "latest").resolve()
    assert quick.run("-k", "nothing-of-that-name")[0] in (
        pytest.ExitCode.USAGE_ERROR,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    )
    assert quick.run("--seed", "none")[0] == pytest.ExitCode.USAGE_ERROR
    assert quick.run("--min-rank-score", "truht=0.99")[0] == pytest.ExitCode.USAGE_ERROR
    assert (quick.work / "latest").resolve() == before
    assert [path.name for path in quick.work.iterdir() if path.is_dir() and not path.is_symlink()] == [
        before.name
    ]


def test_a_result_is_taken_over_only_while_everything_it_depends_on_is_the_same(quick: Quick) -> None:
    quick.run("-k", "m-000 or m-001")
    first = (quick.work / "latest").resolve().name
    changed = quick.folder / "m-001.json"
    changed.write_text(changed.read_text().replace("0.41", "0.42"))
    _, output = quick.run("-k", "m-000 or m-001 or m-002", "--reuse", first)
    records = {record["id"]: record for record in quick.results()["records"]}
    assert [record["reused"] for record in records.values()] == [first, None, None]
    assert f"evaluated-m-001: the result of run {first} is not taken over: changed: file" in output
    assert records["evaluated-m-002"]["warnings"] == []
    _, output = quick.run("-k", "m-000", "--reuse", "latest", "--seed", "5")
    assert "is not taken over: changed: option seed" in output


def test_a_failure_that_is_taken_over_fails_again(quick: Quick) -> None:
    quick.run("-k", "m-000", "--require", "mrr@10>=0.9")
    code, output = quick.run("-k", "m-000", "--require", "mrr@10>=0.9", "--reuse", "latest")
    assert code == 1
    (record,) = quick.results()["records"]
    assert record["reused"] is not None
    assert record["reason"] in output
    code, output = quick.run("-k", "m-000", "--reuse", "latest")
    assert code == 0, "another limit is another question"
    assert "changed: option require" in output


def test_reuse_of_a_run_that_is_not_there_ends_before_anything_runs(quick: Quick) -> None:
    for workers in ("0", "2"):
        code, output = quick.run("--reuse", "20200101_000000", "-n", workers)
        assert code == pytest.ExitCode.USAGE_ERROR, output
        assert "--reuse 20200101_000000: found no such run" in output
    assert not quick.work.exists()


@pytest.mark.parametrize("workers", ["0", "2"])
def test_first_failure_ends_a_long_run_soon_and_the_rest_is_there(tmp_path: Path, workers: str) -> None:
    quick = Quick(tmp_path, 200)
    code, _ = quick.run("-x", "-n", workers, "--require", "mrr@10>=0.9")
    assert code != 0
    results = quick.results()
    assert len(results["records"]) == results["run"]["collected"] == 200
    assert results["run"]["state"] == "interrupted"
    assert len(quick.journal()) < 50


@pytest.fixture(name="small_disk")
def disk_of_megabytes(request: pytest.FixtureRequest):
    """A file system of so many megabytes, under a short path: sockets of a run may be in it."""
    with small_disk(f"size={request.param}m") as folder:
        yield folder


@pytest.mark.parametrize("small_disk", [2], indirect=True)
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_full_disk_ends_the_run_with_all_records_and_reports(
    tmp_path: Path, small_disk: Path, workers: str
) -> None:
    quick = Quick(tmp_path, 800)
    quick.work = small_disk / "out"
    junit = small_disk / "junit.xml"
    code, output = quick.run("-n", workers, "--junitxml", str(junit))
    assert code == pytest.ExitCode.INTERRUPTED, output
    finished = quick.journal()
    assert 100 < len(finished) < 800, len(finished)
    assert len(list(ElementTree.parse(junit).getroot().iter("testcase"))) == len(finished)
    assert "stopped early: " in output
    assert "No space left on device); make room there" in output
    assert "Traceback" not in output
    assert quick.left_behind() == []
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    killed = (quick.work / "latest").resolve().name
    code, output = quick.run("-n", workers, "--reuse", "latest")
    assert code == 0, output
    assert quick.results(killed)["run"]["state"] == "interrupted"
    assert sorted(done(quick.results(killed))) == sorted(name.partition("[")[2][:-1] for name in finished)
    assert sum(record["reused"] == killed for record in quick.results()["records"]) == len(finished)


@pytest.mark.parametrize("small_disk", [30], indirect=True)
def test_a_case_needs_no_more_than_30_mb_for_temporary_files(tmp_path: Path, small_disk: Path) -> None:
    suite = Suite(tmp_path)
    suite.add("same")
    log, seen = tmp_path / "output.txt", set()
    with log.open("w") as output:
        process = subprocess.Popen(
            suite.command(), cwd=tmp_path, stdout=output, stderr=subprocess.STDOUT,
            # A server that is there already: it makes no files, and what is forked from it has the environment of the run.
            env=own_environment({"TMPDIR": str(small_disk), kept_server.VARIABLE: arms.kept_server()}),
        )  # fmt: skip
        while process.poll() is None:
            seen |= {path.name for path in small_disk.iterdir()}
            time.sleep(0.05)
    assert process.returncode == 0, log.read_text()
    finished = suite.finished(process.returncode, log.read_text())
    assert finished.record("same")["verdict"] == "pass"
    assert any(name.startswith("modelgate-") for name in seen), "the run used another folder"
    assert [path.name for path in small_disk.iterdir() if not path.name.startswith("pytest-of-")] == []


def test_many_runs_in_one_folder_leave_each_other_alone(quick: Quick) -> None:
    processes = [quick.start("-k", "m-000 or m-001", nap=0.5) for _ in range(4)]
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        assert "had died" not in output
    runs = [path for path in quick.work.iterdir() if not path.is_symlink()]
    assert len(runs) == 4
    assert {quick.results(path.name)["run"]["state"] for path in runs} == {"finished"}
    assert quick.left_behind() == []
