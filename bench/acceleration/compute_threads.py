"""How many threads the arms of a pair compute with: few enough for the model, and for what else the machine does.

A thread per core is the fastest for large models on a quiet machine. A small model waits for its threads at each layer,
and next to other work one of them is always late: 2 threads took up to five times as long as one.
"""

from __future__ import annotations

from collections.abc import Mapping

# So much longer than with the fastest number a call may take with fewer threads.
TOLERANCE = 1.1


def counts_to_try(most: int) -> list[int]:
    """Return the powers of two below a number, and it: ``[1, 2, 4, 6]`` for 6."""
    counts = [1]
    while counts[-1] * 2 < most:
        counts.append(counts[-1] * 2)
    return counts if most == 1 else [*counts, most]


def chosen(paces: Mapping[int, float], most: int) -> int:
    """Return the fewest threads that are nearly as fast as any; the most where nothing is known.

    Args:
        paces: seconds by number of threads.
        most: how many there can be.
    """
    if not paces:
        return most
    best = min(paces.values())
    return min(count for count, seconds in paces.items() if seconds <= TOLERANCE * best)
