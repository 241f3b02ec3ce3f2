"""The workers of a distributed run, seen from the process that owns it: who they are, and how they end."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

import msgspec
import psutil
import pytest

from bench.core.record import plain_problems

_FOLDER = "workers"
_RECORD, _PROPERTIES = "modelgate_record", "user_properties"


class PackedReports:
    """Sends a record, and what JUnit shows of it, as one text each: xdist encodes value by value, which takes far longer."""

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self, config: pytest.Config) -> Generator[None, Any, Any]:
        """Pack a report that leaves a worker; what another plugin writes of a report stays as it is."""
        data = yield
        if data is None or not hasattr(config, "workerinput"):
            return data
        if _RECORD in data:
            data[_RECORD] = msgspec.json.encode(data[_RECORD])
        properties = [list(pair) for pair in data.get(_PROPERTIES, ())]
        if properties and not plain_problems(properties):  # a test may record what JSON would change
            data[_PROPERTIES] = msgspec.json.encode(properties)
        return data

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_from_serializable(self, data: dict[str, Any]) -> None:
        """Unpack a report that a worker sent."""
        if isinstance(data.get(_RECORD), bytes):
            data[_RECORD] = msgspec.json.decode(data[_RECORD])
        if isinstance(data.get(_PROPERTIES), bytes):
            data[_PROPERTIES] = msgspec.json.decode(data[_PROPERTIES], type=list[tuple[str, Any]])


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
