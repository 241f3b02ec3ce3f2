"""Arms in a jail: no sight of the evaluator, of the other arm or of the network, and a pipeline that works all the same."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from arms import LIMIT_S, PAINTER, SAMPLES, ArmStarter, kept_server, load_in_vain
from suites import NOISE_CALLED, Suite

from bench.acceleration.host.failures import raised
from bench.acceleration.host.pipeline_arm import PipelineArm
from bench.acceleration.host.reading import listed_places, readable_places
from bench.machine import landlock

pytestmark = pytest.mark.skipif(landlock.version() < 6, reason="this kernel lacks Landlock 6")

TRIES = """
import json, os, signal, socket, subprocess, sys
from pathlib import Path

OTHERS = json.loads(Path(__file__).with_name("others.json").read_text())
found = {}

def attempt(name, action):
    try:
        action()
        found[name] = True
    except Exception as error:
        found[name] = type(error).__name__

attempt("read the evaluator's results", lambda: Path(OTHERS["results"]).read_text())
attempt("change the evaluator's results", lambda: Path(OTHERS["results"]).write_text("{}"))
attempt("read the other arm's folder", lambda: list(Path(OTHERS["other"]).iterdir()))
attempt("leave something in shared memory", lambda: Path("/dev/shm/cache").write_text("images"))
attempt("find something in shared memory", lambda: Path(OTHERS["shared"]).read_text())
attempt("signal the evaluator", lambda: os.kill(OTHERS["pid"], 0))
attempt("stop the other arm", lambda: os.kill(OTHERS["arm"], signal.SIGSTOP))
attempt("read the evaluator's memory", lambda: open(f"/proc/{OTHERS['pid']}/mem", "rb"))
attempt("see the evaluator's command", lambda: open(f"/proc/{OTHERS['pid']}/cmdline", "rb").read())
attempt("connect to the machine", lambda: socket.create_connection(("127.0.0.1", OTHERS["port"]), 5))
attempt("connect to the evaluator's socket", lambda: socket.socket(socket.AF_UNIX).connect(OTHERS["unix"]))
attempt("write next to the file", lambda: Path(__file__).with_name("helper.py").write_text("x = 1"))
attempt("write into the working directory", lambda: Path("cache.bin").write_text("mine"))
attempt("start a program", lambda: subprocess.run(["true"], check=True))
print("found", json.dumps(found), flush=True)
"""


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> ArmStarter:
    return ArmStarter(kept_server(), tmp_path_factory.mktemp("jailed"), jailed=True)


@pytest.fixture(scope="module")
def tried(starter: ArmStarter) -> Iterator[dict[str, Any]]:
    """What a file could do while another arm was there too, and what of its jail was in force."""
    shared = Path(f"/dev/shm/of-a-test-{os.getpid()}")
    shared.write_text("images")
    results = starter.logs / "evaluation_results.json"
    results.write_text("[]")
    try:
        with (
            starter.start(role="baseline") as other,
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.socket(socket.AF_UNIX) as own,
            starter.start(TRIES + PAINTER) as arm,
        ):
            own.bind(str(starter.scratch / "s"))
            own.listen()
            directory = next(starter.scratch.glob("*.baseline.*"))
            others = {
                "results": str(results), "other": str(directory), "shared": str(shared), "pid": os.getpid(),
                "arm": other.process.pid, "port": server.getsockname()[1], "unix": str(starter.scratch / "s"),
            }  # fmt: skip
            (arm.file.parent / "others.json").write_text(json.dumps(others))
            arm.load()
            made = len(arm.generate(SAMPLES).outputs)
            log = starter.log(arm)
            yield {
                "jail": arm.process.jail,
                "made": made,
                "found": json.loads(log.split("found ", 1)[1].splitlines()[0]),
                "other": other,
            }
    finally:
        shared.unlink()


def test_a_jailed_pipeline_generates(tried: dict[str, Any]) -> None:
    assert tried["made"] == len(SAMPLES)
    assert {"files", "calls", "privileges", "limits", "capabilities"} <= set(tried["jail"]["layers"])


def test_it_can_do_only_what_a_pipeline_needs(tried: dict[str, Any]) -> None:
    found = dict(tried["found"])
    if "namespaces" in tried["jail"]["layers"]:
        assert found.pop("leave something in shared memory") is True  # its own, which ends with it
        assert not Path("/dev/shm/cache").exists()
    else:
        assert found.pop("leave something in shared memory") == "PermissionError"
    assert {name for name, result in found.items() if result is True} == {
        "write into the working directory", "start a program",
    }  # fmt: skip


def test_what_it_tried_has_changed_nothing(tried: dict[str, Any], starter: ArmStarter) -> None:
    assert (starter.logs / "evaluation_results.json").read_text() == "[]"
    other = tried["other"]
    other.load()
    assert len(other.generate(SAMPLES).outputs) == len(SAMPLES)


SAYS_OF_ITS_THREADS = """
import json, os
from pathlib import Path

def said(task):
    status = dict(line.split(":\\t", 1) for line in (task / "status").read_text().splitlines())
    spaces = [os.readlink(task / "ns" / kind) for kind in ("mnt", "net", "ipc", "pid")]
    return [*spaces, *(status[name].strip() for name in ("Seccomp", "NoNewPrivs", "CapEff"))]

print("threads", json.dumps([said(task) for task in Path("/proc/self/task").iterdir()]), flush=True)
1 / 0
"""


def test_all_threads_of_an_arm_are_in_its_jail(starter: ArmStarter) -> None:
    layers, threads = [], []
    for count in (1, 2, 2):  # the third has namespaces that were ready
        file = starter.write(SAYS_OF_ITS_THREADS)
        with replace(starter.factory(), threads=count).start("candidate", file.parent.name) as process:
            arm = PipelineArm(process, file, "cpu", LIMIT_S)
            load_in_vain(arm)
            layers.append((process.jail["layers"], process.jail["missing"]))
            threads.append(json.loads(starter.log(arm).split("threads ", 1)[1].splitlines()[0]))
    assert layers[0] == layers[1] == layers[2]
    assert [len(found) for found in threads] == [1, 2, 2], (
        "torch starts a thread of its own for the second one"
    )
    for found in threads:
        assert all(one == found[0] for one in found)
        assert found[0][4:6] == ["2", "1"]


def test_a_file_that_reads_what_is_closed_is_told_what_to_do(starter: ArmStarter) -> None:
    with starter.start("open('/etc/shadow')") as arm:
        problem = load_in_vain(arm)
    assert problem.reason_code == "load_failed"
    assert "PermissionError" in str(problem)
    assert "--allow-read PATH" in str(problem)


COMES_WITH_CODE = """
from pathlib import Path
from diffusers import DiffusionPipeline

Path("code").mkdir()
Path("code/model_index.json").write_text('{"_class_name": ["own", "Own"], "_diffusers_version": "0.42.0"}')
text = "from diffusers import DiffusionPipeline\\nclass Own(DiffusionPipeline):\\n    def __init__(self): pass\\n"
Path("code/own.py").write_text(text)
pipe = DiffusionPipeline.from_pretrained("code", trust_remote_code=True)
print("copied to", type(pipe).__init__.__code__.co_filename, flush=True)
1 / 0
"""


@pytest.mark.parametrize("jailed", [True, False])
def test_code_that_comes_with_a_model_is_copied_into_the_working_directory(
    starter: ArmStarter, tmp_path: Path, jailed: bool
) -> None:
    own = replace(starter, directory=tmp_path, jailed=jailed)
    with own.start(COMES_WITH_CODE) as arm:
        problem = load_in_vain(arm)
    assert "ZeroDivisionError" in str(problem)
    assert f"copied to {own.scratch}/" in own.log(arm), own.log(arm)


def test_a_file_that_asks_the_network_is_told_that_there_is_none() -> None:
    failure = raised("load", {"type": "OSError", "message": "[Errno 101] Network is unreachable"}, None)
    assert "an arm has none; load what it needs beforehand" in failure.message


@pytest.mark.slow
def test_the_record_says_what_was_in_force(tmp_path: Path) -> None:
    suite = Suite(tmp_path, NOISE_CALLED)
    suite.add("jailed")
    secret = tmp_path.parent / f"{tmp_path.name}-weights.txt"
    secret.write_text("weights")
    suite.add("reads", f"open({str(secret)!r}).read()\n{NOISE_CALLED}")
    closed = suite.run("--time-budget", "0")
    assert closed.record("jailed")["isolation"]["mode"] == "jail"
    assert "files" in closed.record("jailed")["isolation"]["layers"]
    assert closed.record("jailed")["isolation"]["missing"] == {} or "refused: " in closed.output
    assert closed.record("reads")["reason_code"] == "load_failed"
    assert "--allow-read PATH" in closed.record("reads")["reason"]
    opened = suite.run("--time-budget", "0", "--allow-read", str(secret), "-k", "reads")
    assert opened.record("reads")["verdict"] == "pass", opened.record("reads")["reason"]
    without = suite.run("--time-budget", "0", "--isolation", "process", "-k", "reads")
    assert without.record("reads")["verdict"] == "pass"
    assert without.record("reads")["isolation"] == {"mode": "process", "layers": [], "missing": {}}
    assert "candidates ran without a jail (--isolation process)" in without.output


@pytest.mark.slow
def test_without_any_isolation_a_file_runs_as_when_its_user_runs_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MY_ACCESS_TOKEN", "secret")
    suite = Suite(tmp_path, NOISE_CALLED)
    home = Path.home()
    checks = f"""
import os, tempfile
from pathlib import Path
assert Path.home() == Path({str(home)!r}), Path.home()
assert os.environ["MY_ACCESS_TOKEN"] == "secret"
assert not tempfile.gettempdir().startswith(os.getcwd())
"""
    suite.add("at_home", checks + NOISE_CALLED)
    found = suite.run("--time-budget", "0", "--isolation", "none", "-k", "at_home")
    record = found.record("at_home")
    assert record["verdict"] == "pass", record["reason"]
    assert record["isolation"] == {"mode": "none", "layers": [], "missing": {}}
    assert (
        "candidates ran without a jail (--isolation none): they could do all that you can do" in found.output
    )
    assert suite.run("--time-budget", "0", "--isolation", "process", "-k", "at_home").record("at_home")[
        "reason_code"
    ] == "load_failed"  # fmt: skip


# What a case may read


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a pipeline file, a model, results and version control."""
    folder = tmp_path / "project"
    for name in ("pyproject.toml", "pipelines/a.py", "zoo/m.bin", "outputs/run/results.json", ".git/config"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def seen(place: Path, places: list[Path]) -> bool:
    return any(place == one or one in place.parents for one in places)


def test_a_file_reads_its_project_without_results_and_version_control(project: Path, tmp_path: Path) -> None:
    places = readable_places(
        [project / "pipelines/a.py"], begun_in=tmp_path, environment={}, hidden=[project / "outputs"]
    )
    assert seen(project / "zoo/m.bin", places)
    assert not seen(project / "outputs/run/results.json", places)
    assert not seen(project / ".git/config", places)
    assert not seen(tmp_path / "other", places)


def test_version_control_next_to_a_file_stays_closed_and_its_neighbours_are_found(project: Path) -> None:
    (project / "a.py").touch()
    (project / "helper.py").touch()
    files = [project / "a.py"]
    places = readable_places(files, begun_in=Path("/usr"), environment={}, hidden=[project / "outputs"])
    assert seen(project / "helper.py", places)
    assert seen(project / "zoo/m.bin", places)
    assert not seen(project / ".git/config", places)
    assert not seen(project / "outputs/run/results.json", places)
    assert listed_places(files, places) == [project]
    assert listed_places([project / "pipelines/a.py"], places) == []


def test_without_a_project_it_is_the_folder_of_the_run_or_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine/pipelines/a.py"
    file.parent.mkdir(parents=True)
    file.touch()
    assert tmp_path / "mine" in readable_places([file], begun_in=tmp_path / "mine", environment={})
    elsewhere = readable_places([file], begun_in=Path("/usr"), environment={})
    assert file.parent in elsewhere
    assert tmp_path / "mine" not in elsewhere


def test_models_that_a_file_names_are_read_with_what_they_link_to(tmp_path: Path) -> None:
    blob, model, file = tmp_path / "blobs/abc", tmp_path / "snapshots/1", tmp_path / "mine/a.py"
    for folder in (blob.parent, model / "unet", file.parent):
        folder.mkdir(parents=True)
    blob.touch()
    (model / "unet/weights.bin").symlink_to(blob)
    file.write_text(f"MODEL = {str(model)!r}\nNOTHING = '/no/such/place'\n")
    places = readable_places([file], begun_in=Path("/usr"), environment={})
    assert {model, blob} <= set(places)
    assert not seen(tmp_path / "other", places)


def test_links_that_lead_in_a_circle_end_no_case(tmp_path: Path) -> None:
    file, model = tmp_path / "mine/a.py", tmp_path / "model"
    for folder in (file.parent, model):
        folder.mkdir()
        (folder / "one").symlink_to(folder / "other")
        (folder / "other").symlink_to(folder / "one")
        (folder / "self").symlink_to(folder)
    file.write_text(f"pipe = load({str(model)!r})")
    places = readable_places([file], begun_in=Path("/usr"), environment={"MODELS": str(model)})
    assert {file.parent, model} <= set(places)


def test_what_a_candidate_names_or_links_to_opens_nothing(tmp_path: Path) -> None:
    for folder in ("plain", "fast", "secret"):
        (tmp_path / folder).mkdir()
    candidate = tmp_path / "fast/a.py"
    candidate.write_text(f"MODEL = {str(tmp_path / 'secret')!r}")
    (tmp_path / "fast/model").symlink_to(tmp_path / "secret")
    places = readable_places([tmp_path / "plain/a.py"], candidate, begun_in=Path("/usr"), environment={})
    assert tmp_path / "fast" in places
    assert not seen(tmp_path / "secret", places)


@pytest.mark.parametrize(
    "named", ["/proc/self/environ", "/etc/shadow", "/", "/root", "/home", "/dev/mem", "/no\0thing"]
)
def test_places_of_the_system_are_no_models(tmp_path: Path, named: str) -> None:
    file = tmp_path / "a.py"
    file.write_text(f"MODEL = {named!r}")
    places = readable_places([file], begun_in=Path("/usr"), environment={})
    assert {tmp_path} == {place for place in places if "bench" not in place.parts}


def test_a_token_in_a_model_cache_stays_closed(tmp_path: Path) -> None:
    for name in ("cache/hub/model", "cache/token", "mine/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    environment = {"HF_HOME": str(tmp_path / "cache"), "WEIGHTS": str(tmp_path / "weights")}
    (tmp_path / "weights").mkdir()
    places = readable_places([tmp_path / "mine/a.py"], begun_in=Path("/usr"), environment=environment)
    assert seen(tmp_path / "cache/hub/model", places)
    assert seen(tmp_path / "weights", places)
    assert not seen(tmp_path / "cache/token", places)


def test_a_work_directory_above_the_files_does_not_close_them(tmp_path: Path) -> None:
    folder = tmp_path / "work" / "pipelines"
    folder.mkdir(parents=True)
    (folder / "a.py").write_text("pipe = 1\n")
    (run := tmp_path / "work" / "20261129_120000").mkdir()
    places = readable_places(
        [folder / "a.py"], begun_in=Path("/usr"), environment={}, hidden=[tmp_path / "work", run]
    )
    assert folder in places
    assert not any(place in (run, *run.parents) for place in places if place.is_relative_to(tmp_path))
