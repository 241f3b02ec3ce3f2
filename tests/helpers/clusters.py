"""Runs for jobs: cheap cases, some of which wait until they are let go; and a cluster of one machine with Slurm itself."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from evaluated_files import regression_file
from suites import ROOT

_DAEMONS = Path(__file__).with_name("slurm_daemons.py")
PROGRAMS = ("slurmctld", "slurmd", "sbatch")
needs_submitit = pytest.mark.skipif(
    find_spec("submitit") is None, reason="needs submitit, of the extra slurm"
)
needs_slurm = pytest.mark.skipif(
    any(shutil.which(name) is None for name in PROGRAMS), reason="needs Slurm, of Debian's package slurm-wlm"
)
# A plugin: a test whose case has a file in the folder HELD waits until it is gone, but not for ever.
_HOLDING = """
import os, pathlib, time

def pytest_runtest_call(item):
    held = [path for path in pathlib.Path(os.environ["HELD"]).iterdir() if path.name in item.nodeid]
    for path in held:
        for _ in range(600):
            if not path.exists():
                break
            time.sleep(0.1)
"""
_CONF = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={daemon}
AuthType=auth/none
CredType=cred/none
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
KillWait=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=1024 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class Cases:
    """Evaluations of models m0 to m5, of which those in `held` wait.

    Attributes:
        folder: of the files; its name has a space.
        arguments: of pytest, which passes all of them.
        held: folder with a file for each case that waits, named as its model.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "of a user"
        self.held = self.folder / "held"
        self.held.mkdir(parents=True)
        (self.folder / "evaluations").mkdir()
        for number in range(6):
            text = json.dumps(regression_file(model=f"m{number}", dataset="notes"))
            (self.folder / "evaluations" / f"m{number}-notes.json").write_text(text)
        (self.folder / "holding_cases.py").write_text(_HOLDING)
        self.arguments = [
            str(ROOT / "cases/test_evaluated.py"), "--rootdir", str(ROOT), "-c", str(ROOT / "pytest.ini"),
            "--evaluated", str(self.folder / "evaluations"), "-p", "holding_cases",
            "-p", "no:anyio", "-p", "no:hypothesispytest",
        ]  # fmt: skip
        before = os.environ.get("PYTHONPATH", "")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(self.folder), *before.split(os.pathsep)]))
        patch.setenv("HELD", str(self.held))
        for name in [name for name in os.environ if name.startswith("PYTEST_")]:
            patch.delenv(name)
        patch.chdir(self.folder)

    def hold(self, *models: str) -> None:
        """Let the cases of models wait."""
        for model in models:
            (self.held / f"-{model}-").touch()

    def let_go(self) -> None:
        """Let all cases go on."""
        for path in self.held.iterdir():
            path.unlink()


def submit_here(out: Path, *options: str, jobs: int = 2) -> list[str]:
    """Return the words that submit jobs on this machine; the options of pytest follow after ``--``."""
    return ["submit", "--jobs", str(jobs), "--cluster", "local", "--out", str(out), *options]


def until(holds: Callable[[], object], what: str, patience_s: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.1)


@contextmanager
def slurm(folder: Path) -> Iterator[None]:
    """Run a cluster of one machine with ports of its own; its daemons end with the block, or with this process."""
    control, daemon = _free_ports()
    host = socket.gethostname().partition(".")[0]
    conf = folder / "slurm.conf"
    conf.write_text(
        _CONF.format(host=host, control=control, daemon=daemon, user=getpass.getuser(), folder=folder)
    )
    for name in ("state", "spool"):
        (folder / name).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(conf))
        with subprocess.Popen(
            [sys.executable, str(_DAEMONS), str(os.getpid()), str(conf)], stdin=subprocess.PIPE, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ):  # fmt: skip
            until(lambda: "idle" in _said("sinfo", "--noheader", "--format=%t"), f"Slurm; see {folder}")
            yield


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout


def _free_ports() -> list[int]:
    sockets = [socket.socket() for _ in range(2)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
