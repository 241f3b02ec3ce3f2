"""The fork server as a service of the run: ready in time, or a clear error; with the users' methods in it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from arms import SERVER_WITHOUT_IMPORTS, ArmStarter, load_in_vain

from bench.acceleration.host import kept_server
from bench.acceleration.host.service import start_fork_server
from bench.core.errors import CaseProblem
from bench.core.kind import ServiceRun

PYTHON = (sys.executable, "-c")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[ServiceRun]:
    # The path of a Unix socket is limited to about 108 bytes.
    with tempfile.TemporaryDirectory(prefix="modelgate-", dir="/tmp") as scratch:
        (tmp_path / "logs").mkdir()
        yield ServiceRun(Path(scratch), tmp_path / "logs", 0, (), ())


def with_users(run: ServiceRun, folder: Path) -> ServiceRun:
    return ServiceRun(run.scratch, run.logs, 1, (folder,), ())


def test_it_serves_until_it_is_stopped(run: ServiceRun, tmp_path: Path) -> None:
    service = start_fork_server(run, command=SERVER_WITHOUT_IMPORTS)
    try:
        assert service.is_alive()
        assert service.address == str(run.scratch / "fork0")
        with ArmStarter(service.address, tmp_path / "arms").start("1 / 0") as arm:
            assert load_in_vain(arm).reason_code == "load_failed"
    finally:
        service.stop()
    assert not service.is_alive()


def test_a_server_that_ends_early_is_an_error_with_its_last_words(run: ServiceRun) -> None:
    began = time.monotonic()
    with pytest.raises(
        CaseProblem, match=r"the fork server ended after \d+ s; expected it to import torch"
    ) as caught:
        start_fork_server(run, command=(*PYTHON, "raise SystemExit('no torch here')"))
    assert "no torch here" in str(caught.value)
    assert caught.value.reason_code == "internal_error"
    assert time.monotonic() - began < 60


def test_a_server_that_is_never_ready_is_an_error_after_its_limit(run: ServiceRun) -> None:
    began = time.monotonic()
    with pytest.raises(CaseProblem, match=r"the fork server was not ready within 0\.5 s; expected"):
        start_fork_server(run, command=(*PYTHON, "import time; time.sleep(600)"), timeout_s=0.5)
    assert time.monotonic() - began < 60


def test_half_a_word_is_not_ready(run: ServiceRun) -> None:
    with pytest.raises(CaseProblem, match="not ready within"):
        start_fork_server(
            run,
            command=(*PYTHON, "import time; print('rea', end='', flush=True); time.sleep(600)"),
            timeout_s=0.5,
        )


@pytest.mark.parametrize(("passed_on", "expected"), [((), "1000"), (("GOMP_SPINCOUNT",), "77")])
def test_waiting_threads_sleep_soon_unless_told_otherwise(
    run: ServiceRun, monkeypatch: pytest.MonkeyPatch, passed_on: tuple[str, ...], expected: str
) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "77")
    asked = replace(run, pass_env=passed_on)
    shown = "import os, sys; sys.exit('spins ' + os.environ['GOMP_SPINCOUNT'] + ' times')"
    with pytest.raises(CaseProblem, match=rf"spins {expected} times"):
        start_fork_server(asked, command=(*PYTHON, shown))


def test_cuda_is_not_touched_in_the_process_from_which_arms_are_forked(run: ServiceRun) -> None:
    shown = "import os, sys; sys.exit('asks by NVML: ' + os.environ['PYTORCH_NVML_BASED_CUDA_CHECK'])"
    with pytest.raises(CaseProblem, match="asks by NVML: 1"):
        start_fork_server(run, command=(*PYTHON, shown))


def test_a_kept_server_is_taken_and_left_alone(
    run: ServiceRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bare_server: subprocess.Popen
) -> None:
    kept_server.note_imports(bare_server.address, ())
    monkeypatch.setenv(kept_server.VARIABLE, bare_server.address)
    service = start_fork_server(run, command=(*PYTHON, "raise SystemExit('not needed')"))
    assert service.address == bare_server.address
    assert service.is_alive()
    with ArmStarter(service.address, tmp_path / "arms").start("1 / 0") as arm:
        assert load_in_vain(arm).reason_code == "load_failed"
    service.stop()
    assert service.is_alive()


@pytest.mark.parametrize(("given", "expected"), [({}, "1000"), ({"GOMP_SPINCOUNT": "77"}, "77")])
def test_threads_of_a_kept_server_wait_as_briefly_as_those_of_a_run(
    tmp_path: Path, given: dict[str, str], expected: str
) -> None:
    # Before torch is imported, which reads it once. A file that sets more threads than it has cores took 30 times as long.
    shown = (
        "import os, sys; from bench.acceleration.host import forkserver, kept_server; "
        "forkserver.main = lambda *_: sys.exit('spins ' + os.environ['GOMP_SPINCOUNT'] + ' times'); "
        "assert 'torch' not in sys.modules; kept_server.main(sys.argv[1])"
    )
    without = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    ended = subprocess.run(
        [*PYTHON, shown, str(tmp_path / "fork")],
        env=without | given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"spins {expected} times" in ended.stderr


def test_a_kept_server_with_other_code_is_not_taken(
    run: ServiceRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bare_server: subprocess.Popen
) -> None:
    kept_server.note_imports(bare_server.address, ())
    monkeypatch.setenv(kept_server.VARIABLE, bare_server.address)
    (tmp_path / "mine").mkdir()
    service = start_fork_server(with_users(run, tmp_path / "mine"), command=SERVER_WITHOUT_IMPORTS)
    service.stop()
    assert service.address != bare_server.address
    monkeypatch.setattr(kept_server, "own_code", lambda: "changed since")
    with pytest.raises(CaseProblem, match="started one of its own"):
        start_fork_server(run, command=(*PYTHON, "raise SystemExit('started one of its own')"))


def test_a_kept_server_that_is_gone_is_named(run: ServiceRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kept_server.VARIABLE, str(run.scratch / "nobody"))
    with pytest.raises(
        CaseProblem, match=r"MODELGATE_FORK_SERVER=.*nobody: found nobody there, expected the socket"
    ):
        start_fork_server(run)


METHOD = """
from bench.acceleration.methods import acceleration_method
print("a word on stdout is not taken for the server's")

@acceleration_method("my_method")
def my_method(loaded):
    return {"found": True}
"""


def test_arms_know_the_methods_of_users(run: ServiceRun, tmp_path: Path) -> None:
    folder = tmp_path / "user_methods"
    folder.mkdir()
    (folder / "mine.py").write_text(METHOD)
    service = start_fork_server(with_users(run, folder), command=SERVER_WITHOUT_IMPORTS)
    try:
        assert service.address == str(run.scratch / "fork1")
        shows = (
            "from bench.acceleration.methods import METHODS\nprint('method', METHODS['my_method'].detect(None))\n"
            "raise RuntimeError('no pipeline')"  # and no import of torch, which looking for one would take
        )
        starter = ArmStarter(service.address, tmp_path / "arms")
        with starter.start(shows) as arm:
            load_in_vain(arm)
            assert "method {'found': True}" in starter.log(arm)
    finally:
        service.stop()


def test_code_of_users_that_fails_is_named(run: ServiceRun, tmp_path: Path) -> None:
    folder = tmp_path / "user_methods"
    folder.mkdir()
    (folder / "mine.py").write_text("import no_such_package\n")
    with pytest.raises(
        CaseProblem, match=r"--user-dir \S+user_methods: ModuleNotFoundError: .*no_such_package"
    ):
        start_fork_server(with_users(run, folder), command=SERVER_WITHOUT_IMPORTS)
