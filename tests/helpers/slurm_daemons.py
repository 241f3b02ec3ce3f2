"""Holds the daemons of Slurm for tests: ``python slurm_daemons.py OWNER CONF``, until its input ends or the owner does.

A job's processes belong to nobody when the daemon that began them has died. Here they become children of this process, which
ends all of them.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from bench.machine.prctl import PR_SET_CHILD_SUBREAPER, set_process_option

NAMES = ("slurmctld", "slurmd")


def hold(owner: int, conf: Path) -> None:
    """Start the daemons; end everything that came of them when nobody needs it any more."""
    watched = os.pidfd_open(owner)
    set_process_option(PR_SET_CHILD_SUBREAPER, 1)
    try:
        for name in NAMES:
            with conf.with_name(f"{name}.log").open("wb") as log:
                subprocess.Popen(
                    [name, "-D", "-f", str(conf)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )  # fmt: skip
        while not select.select([watched, sys.stdin.fileno()], [], [], 0.5)[0]:
            reap()
    finally:
        end_all()


def reap() -> None:
    """Take note of children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def end_all() -> None:
    """End all descendants; those of a child that was ended become children, too."""
    for _ in range(100):
        reap()
        descendants = psutil.Process().children(recursive=True)
        if not descendants:
            return
        for process in descendants:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(descendants, timeout=0.1)


if __name__ == "__main__":
    hold(int(sys.argv[1]), Path(sys.argv[2]))
