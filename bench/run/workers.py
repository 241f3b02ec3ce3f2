"""The workers of a distributed run, seen from the process that owns it: who they are, and how they end."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

import psutil
import pytest

_FOLDER = "workers"


def note_worker(scratch: Path) -> None:
    """Say that this process is a worker of the run."""
    folder = scratch / _FOLDER
    folder.mkdir(exist_ok=True)
    (folder / str(os.getpid())).touch()


def end_workers(scratch: Path) -> None:
    """End the workers of a run that was interrupted: a case that takes minutes must not keep the run from ending.

    Nothing of theirs is lost: what a worker has finished, it has sent.
    """
    own = os.getpid()
    for file in (scratch / _FOLDER).glob("*"):
        with suppress(psutil.Error, OSError):
            worker = psutil.Process(int(file.name))
            if own in [parent.pid for parent in worker.parents()]:
                worker.send_signal(signal.SIGKILL)


def take_pending_reports(config: pytest.Config) -> None:
    """Handle the reports that workers have sent and that an interrupted run did not come to handle."""
    session = config.pluginmanager.getplugin("dsession")
    while session is not None:
        try:
            name, told = session.queue.get_nowait()
        except Empty:
            return
        report: Any = told.get("rep")
        if name == "testreport" and report is not None:
            report.node = told["node"]
            config.hook.pytest_runtest_logreport(report=report)
