"""Memory of a GPU as its driver accounts for it, by process."""

from __future__ import annotations

import subprocess
from collections.abc import Collection

_COMMAND = ("nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits")
_PATIENCE_S = 20.0
_UNIT = 2**20


def memory_of_processes(pids: Collection[int]) -> int | None:
    """Return the bytes that these processes hold now on all GPUs together.

    None where the driver does not say: there is no ``nvidia-smi``, or it knows the processes by other numbers, as from
    within some containers.
    """
    try:
        done = subprocess.run(_COMMAND, capture_output=True, text=True, timeout=_PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [line.split(",") for line in done.stdout.splitlines()]
    found = [
        int(row[1]) * _UNIT
        for row in rows
        if len(row) == 2 and row[0].strip().isdigit() and row[1].strip().isdigit() and int(row[0]) in pids
    ]
    return sum(found) if found else None
