"""What the driver says of a GPU at a moment: clocks, temperature, and who else computes on it."""

from __future__ import annotations

import subprocess
from collections.abc import Collection
from dataclasses import dataclass

_PATIENCE_S = 20.0
_UNIT = 2**20
_FORMAT = "--format=csv,noheader,nounits"


@dataclass(frozen=True)
class GpuState:
    """One reading of a GPU; None is what the driver does not say.

    Attributes:
        clock_mhz: of its processors.
        temperature_c: of the chip.
        foreign_processes: how many processes compute on it that are not ours.
        foreign_bytes: what they hold of its memory.
    """

    clock_mhz: int | None = None
    temperature_c: int | None = None
    foreign_processes: int | None = None
    foreign_bytes: int | None = None


def read_gpu(gpu: str, own: Collection[int]) -> GpuState:
    """Ask the driver for the state of a GPU.

    Args:
        gpu: its number in the order of the bus, or its UUID, as ``CUDA_VISIBLE_DEVICES`` names it.
        own: process ids that are not foreign. Where the driver counts processes by other numbers, as seen from within some
            containers, none of them is found, and what is foreign is not known.
    """
    state = _rows(gpu, "--query-gpu=clocks.sm,temperature.gpu")
    clock, temperature = (*map(_number, state[0]), None, None)[:2] if state else (None, None)
    apps = _rows(gpu, "--query-compute-apps=pid,used_memory")
    held = {number: row for row in apps or () if len(row) == 2 and (number := _number(row[0])) is not None}
    if apps is None or (own and not held.keys() & set(own)):
        return GpuState(clock, temperature)
    foreign = [_number(row[1]) or 0 for pid, row in held.items() if pid not in own]
    return GpuState(clock, temperature, len(foreign), sum(foreign) * _UNIT)


def _rows(gpu: str, query: str) -> list[list[str]] | None:
    """Return the rows of an answer; None where the driver does not give one."""
    try:
        done = subprocess.run(
            ("nvidia-smi", "-i", gpu, query, _FORMAT),
            capture_output=True, text=True, timeout=_PATIENCE_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return [[word.strip() for word in line.split(",")] for line in done.stdout.splitlines() if line.strip()]


def _number(word: str) -> int | None:
    return int(word) if word.isascii() and word.isdigit() else None
