"""Which texts begin alike, so that their beginning is read once. Imports no framework."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.language.engine.packing import MIN_PREFIX, Tokens, common_length

# A part of the texts gets a beginning of its own from so many tokens on that are not read again.
LEAST_SAVED = 512


@dataclass(frozen=True, slots=True)
class TextPart:
    """Texts that begin alike.

    Attributes:
        members: their indices, in the order of the texts.
        shared: tokens that all of them begin with; 0 if the beginning is not worth keeping.
    """

    members: tuple[int, ...]
    shared: int


def parts_by_beginning(texts: Sequence[Tokens], usable: Sequence[int]) -> list[TextPart]:
    """Split texts into parts that share a beginning.

    All texts are one part, unless parts of them share much more: the questions of one subject begin with the examples
    of this subject.

    Args:
        texts: token ids.
        usable: for each text, how many of its tokens a beginning may hold.

    Returns:
        Parts that save tokens, those that save most first, then one of all other texts, if there are any.
    """
    if not texts:  # every answer is taken over from an earlier run
        return []
    order = sorted(range(len(texts)), key=lambda index: texts[index][: usable[index]])
    whole = _shared(texts, usable, order)
    # How much of each text is also in its neighbours of the order: a run of texts shares its smallest number.
    runs: list[list[int]] = []
    depth = 0
    for at, index in enumerate(order):
        if at:
            previous = order[at - 1]
            length = min(common_length([texts[previous], texts[index]]), usable[previous], usable[index])
        else:
            length = 0
        more = length - whole
        if runs and more >= MIN_PREFIX and (len(runs[-1]) == 1 or 2 * length > depth):
            runs[-1].append(index)
            depth = length if len(runs[-1]) == 2 else min(depth, length)
        else:
            runs.append([index])
    parts, rest = [], []
    for run in runs:
        shared = _shared(texts, usable, run)
        if len(run) > 1 and (len(run) - 1) * (shared - whole) >= LEAST_SAVED and len(runs) > 1:
            parts.append(TextPart(tuple(sorted(run)), shared))
        else:
            rest += run
    parts.sort(key=lambda part: part.shared * len(part.members), reverse=True)
    if rest:
        shared = _shared(texts, usable, rest)
        worth = shared >= MIN_PREFIX and len(rest) > 1
        parts.append(TextPart(tuple(sorted(rest)), shared if worth else 0))
    return parts


def _shared(texts: Sequence[Tokens], usable: Sequence[int], members: Sequence[int]) -> int:
    most = min(usable[index] for index in members)
    return min(most, common_length([texts[index] for index in members]))
