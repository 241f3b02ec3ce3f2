"""The memory that the arms of a pair took, launch by launch, and whether the candidate keeps its limit."""

from __future__ import annotations

import msgspec

from bench.acceleration.evidence import peak_advice, peak_of_candidate
from bench.acceleration.gates import gpu_bytes_needed, judge_memory
from bench.acceleration.pair import Pair
from bench.acceleration.protocol.messages import GpuMemory
from bench.acceleration.record import Memory
from bench.acceleration.times import Times
from bench.core.verdict import PASSED, Verdict


def note_memory(memory: Memory, times: Times, pair: Pair, *, on_gpu: bool) -> None:
    """Note what the arms have taken in the launch that is timed.

    Args:
        memory: of the record, which has the highest of all launches.
        times: its last launch is that launch.
        pair: the running arms.
        on_gpu: whether the limit is one of the card.
    """
    for role, arm in (("baseline", pair.baseline), ("candidate", pair.candidate)):
        of_card = arm.gpu_memory() or GpuMemory()
        taken = {"peak_bytes": arm.peak_bytes(), **msgspec.structs.asdict(of_card)}
        for name, value in taken.items():
            highest = getattr(memory, f"{role}_{name}")
            if value is not None and (highest is None or value > highest):
                setattr(memory, f"{role}_{name}", value)
        if times.launches:
            needed = gpu_bytes_needed(of_card) if on_gpu else taken["peak_bytes"]
            times.launches[-1].peak_bytes[role] = needed


def judge_launches(memory: Memory | None, times: Times | None) -> Verdict:
    """Compare the candidate's peaks with the limit; without a limit, or where nothing was timed, nothing is said."""
    if memory is None or times is None:
        return PASSED
    peak = peak_of_candidate(times)
    return judge_memory(peak, memory.allowed_bytes, peak_advice(times, peak, memory.allowed_bytes))
