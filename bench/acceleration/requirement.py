"""The required speedup that a task's text asks for.

A text is searched with the patterns of :mod:`bench.acceleration.requirement_patterns`, one row of a table
for each way of saying it. Everything found must name the same number: a text that names two, or a range, or
leaves the number out of a sentence made for one, is a problem of the task, never a guess.
"""

from __future__ import annotations

import math
import re

from bench.acceleration.requirement_patterns import (
    DENIED_BEFORE,
    DENIED_FOLLOWING,
    DENIED_UNITS,
    GARBLED,
    LOWER_BOUND_BEFORE,
    NEGATED_BEFORE,
    PATTERNS,
    RESOLUTION,
    SPEED,
    UPPER_BOUND_AFTER,
    UPPER_BOUND_BEFORE,
    Pattern,
    number,
    plain,
)
from bench.errors import RequirementProblem

MAX_SPEEDUP = 1_000.0
LOOK_BACK = 80  # characters before a number that can change its meaning
MASK = "¤"
_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)|\n\s*\n")


def required_speedup(text: str) -> float | None:
    """The speedup, baseline time over candidate time, that a task's text requires.

    ``at least 2x``, ``twice as fast``, ``30% faster`` (1.3), ``cut the latency by 40%`` (1 / 0.6), ``half
    the time`` (2) and their like. Other numbers are left alone: resolutions, steps, scales, losses.

    Returns:
        The requirement, above 0 and at most 1000; None where the text names none, ``as fast as possible``
        included.

    Raises:
        RequirementProblem: the text names several speedups, a range, an impossible one, or asks for a
            number that is not there.
    """
    readable = _mask(RESOLUTION, plain(text))
    found: list[tuple[float, str]] = []
    for pattern in PATTERNS:
        readable = _read_pattern(pattern, readable, text, found)
    garbled = GARBLED.search(readable)
    if garbled is not None:
        raise RequirementProblem(
            f"the text asks for a speedup without a readable number ({_quote(text, garbled)}); expected one "
            "number, such as 'at least 2x'; write it out, or give the field required_speedup"
        )
    return _the_one(found)


def _read_pattern(pattern: Pattern, readable: str, text: str, found: list[tuple[float, str]]) -> str:
    """Add what a pattern finds, and return the text in which it cannot be found a second time."""
    for match in pattern.regex.finditer(readable):
        if pattern.needs_speed_word and not _speaks_of_speed(readable, match):
            continue
        taken = not _is_denied(pattern, match, readable)
        readable = readable[: match.start()] + MASK * (match.end() - match.start()) + readable[match.end() :]
        if not taken:
            continue
        for group in ("n", "m"):
            written = match.groupdict().get(group)
            if written is not None or group not in match.groupdict() and group == "n":
                speedup = pattern.speedup(number(written) if written is not None else math.nan, match)
                found.append((speedup, _quote(text, match)))
    return readable


def _is_denied(pattern: Pattern, match: re.Match[str], readable: str) -> bool:
    """Whether the words around a number make it something else than a speedup that is asked for."""
    start = match.start("n") if "n" in match.groupdict() else match.start()
    before = _SENTENCE_END.split(readable[max(0, start - LOOK_BACK) : start])[-1]
    after = readable[match.end() : match.end() + LOOK_BACK]
    at_least = LOWER_BOUND_BEFORE.search(before) is not None
    if pattern.is_share:  # "in at most 60 % of the time" asks for speed, "at least" would forbid it
        return at_least
    if not at_least and (UPPER_BOUND_BEFORE.search(before) or NEGATED_BEFORE.search(before)):
        return True
    if UPPER_BOUND_AFTER.match(after):
        return True
    if not pattern.is_bare:
        return False
    return DENIED_FOLLOWING.match(after) is not None or DENIED_UNITS.match(after) is not None or (
        not at_least and DENIED_BEFORE.search(before) is not None
    )


def _speaks_of_speed(readable: str, match: re.Match[str]) -> bool:
    """Whether a word of speed stands in the sentence, or the sentence is nothing but the number."""
    start = max((end.end() for end in _SENTENCE_END.finditer(readable, 0, match.start())), default=0)
    end = _SENTENCE_END.search(readable, match.end())
    sentence = readable[start : end.start() if end else len(readable)]
    return SPEED.search(sentence) is not None or not re.search(r"\w", sentence.replace(match.group(), "", 1))


def _the_one(found: list[tuple[float, str]]) -> float | None:
    for speedup, fragment in found:
        if not (math.isfinite(speedup) and 0 < speedup <= MAX_SPEEDUP):
            raise RequirementProblem(
                f"the text asks for a speedup that cannot be ({fragment}); expected one above 0 and at most "
                f"{MAX_SPEEDUP:.0f}; correct the number"
            )
    if not found:
        return None
    first = found[0][0]
    if all(math.isclose(first, speedup, rel_tol=1e-9) for speedup, _ in found):
        return first
    fragments = " and ".join(dict.fromkeys(fragment for _, fragment in found))
    values = " and ".join(dict.fromkeys(f"{speedup:g}" for speedup, _ in found))
    raise RequirementProblem(
        f"the text names several speedups ({fragments}: {values}); expected exactly one; leave one of them, "
        "or give the field required_speedup"
    )


def _mask(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: MASK * len(match.group()), text)


def _quote(text: str, match: re.Match[str]) -> str:
    return repr(" ".join(text[match.start() : match.end()].split())[:60])
