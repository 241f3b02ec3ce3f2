"""Processes that all workers of one run of the tests share: each starts when it is first asked for, and ends with the run.

Started as ``python held.py OWNER FOLDER NAME COMMAND...`` this file holds such a process: it is its parent, as a server of
ours expects that lives as long as its parent does.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path


def folder() -> Path:
    """Return the folder of this run of the tests; its path is short, since that of a Unix socket has about 108 bytes."""
    return Path(
        f"/tmp/modelgate-tests-{os.getuid()}-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"
    )


def held(name: str, command: list[str], *, cwd: Path, environment: dict[str, str]) -> int:
    """Return the process id of the one that this run holds by a name; start it if there is none.

    Args:
        name: of the process.
        command: prints a line when it is ready.
        cwd: where it is started.
        environment: with which it is started.
    """
    folder().mkdir(mode=0o700, exist_ok=True)
    with (folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = folder() / f"{name}.pid"
        if not ready.exists():
            owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
            with subprocess.Popen(
                [sys.executable, "-S", __file__, str(owner), str(folder()), name, *command],
                cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
            ) as starting:  # fmt: skip
                assert starting.stdout is not None
                assert starting.stdout.readline(), f"{name} did not start"
    return int(ready.read_text())


def hold(owner: int, place: Path, name: str, command: list[str]) -> None:
    """Start a process, say when it is ready, and end it when the owner has ended."""
    if os.fork():  # what asked waits for a line, not for this process
        os._exit(0)
    watched = os.pidfd_open(owner)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    if not process.stdout.readline():
        sys.exit(1)
    (place / f"{name}.pid").write_text(str(process.pid))
    print("ready", flush=True)
    sys.stdout.close()
    os.close(1)
    select.select([watched], [], [])
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
    shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    hold(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
