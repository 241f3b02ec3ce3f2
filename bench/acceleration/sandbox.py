"""What a forked arm gives up before it runs a stranger's file: output, environment, cores, memory, memory dumps."""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

from bench.acceleration.forkserver import PR_SET_PDEATHSIG, set_process_option


def enter(specification: dict, log: int) -> None:
    """Confine this process as the specification says; called once, right after the fork.

    Args:
        specification: ``directory`` (private, exists), ``environment``, ``cpus`` (list or None),
            ``threads``, ``memory_bytes`` (address space beyond what the fork server maps; None for
            no limit, as CUDA reserves far more than it uses).
        log: file descriptor that takes stdout and stderr.
    """
    os.setsid()
    set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    # The server's own streams may hold a buffer and an encoding of its own; these are the arm's.
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)  # noqa: SIM115

    directory = specification["directory"]
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(specification["environment"])
    os.environ.update(
        HOME=directory, TMPDIR=directory, TORCHINDUCTOR_CACHE_DIR=f"{directory}/inductor",
        OMP_NUM_THREADS=str(specification["threads"]),
        # Compiling in a pool of its own would leave the leased cores.
        TORCHINDUCTOR_COMPILE_THREADS="1",
    )  # fmt: skip
    if specification.get("cpus"):
        os.sched_setaffinity(0, specification["cpus"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if specification.get("memory_bytes"):
        limit = mapped_bytes() + int(specification["memory_bytes"])
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    import torch  # noqa: PLC0415 - imported by the fork server long ago

    torch.set_num_threads(specification["threads"])


def mapped_bytes() -> int:
    """Return the size of this process' address space in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
