"""The required speedup that a task's text asks for, and the rule that a thing is asked for once.

A text is searched with the patterns of `bench.acceleration.requirement.patterns`, one row of a table for each way of
saying it: ``at least 2x``, ``twice as fast``, ``30% faster`` (1.3), ``cut the latency by 40%`` (1 / 0.6), ``half the
time`` (2). Other numbers are left alone: resolutions, steps, scales, losses. All that is found must name the same number.
A text that names two, or a range, or leaves out the number of a sentence made for one, is a problem of the task: nothing
is guessed.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass

from bench.acceleration.requirement.limits import MAX_SPEEDUP
from bench.acceleration.requirement.patterns import PATTERNS, Pattern, number
from bench.acceleration.requirement.words import (
    DENIED_FOLLOWING,
    GARBLED,
    LOWER_BOUND_BEFORE,
    NEGATED_BEFORE,
    RESOLUTION,
    SCORE_AFTER,
    SCORE_BEFORE,
    SENTENCE_END,
    SPEED,
    UPPER_BOUND_AFTER,
    UPPER_BOUND_BEFORE,
)
from bench.core.errors import RequirementProblem

MAX_QUOTED = 4
MASK = "¤"
# Characters around a number that can change its meaning. The bounds keep long texts fast.
NEAR = 100
SENTENCE = 400


Found = list[tuple[float, str]]
"""Values that a text names, each with its words."""


@dataclass(frozen=True)
class Asked:
    """What a text can ask for, for messages.

    Attributes:
        name, several: one of it, and more than one.
        most: what it can be at most.
        key: of the annotation that gives it too.
    """

    name: str
    several: str
    most: float
    key: str


SPEEDUP = Asked("speedup", "speedups", MAX_SPEEDUP, "required_speedup")


def take_speedups(readable: str, found: Found) -> str:
    """Add the speedups that a normalised text names to what was found, and return the text without them."""
    left = _masked(RESOLUTION, readable)
    for pattern in PATTERNS:
        if any(cue in left for cue in pattern.cues):
            left = pattern.regex.sub(functools.partial(_take, pattern, found), left)
    return left


def refuse_garbled(left: str) -> None:
    """Refuse a text that asks for a speedup and leaves out its number.

    Args:
        left: what `take_speedups` has left of it.

    Raises:
        RequirementProblem: it does.
    """
    garbled = GARBLED.search(left)
    if garbled is not None:
        raise RequirementProblem(
            f"the text asks for a speedup without a readable number ({quote(garbled.group())}); expected one "
            f"number, such as 'at least 2x'; write it out, or give the field {SPEEDUP.key}"
        )


def the_one(found: Found, asked: Asked) -> float | None:
    """Return the value that all of what was found names, None where nothing was.

    Raises:
        RequirementProblem: a value that cannot be, or several.
    """
    for value, fragment in found:
        if not (math.isfinite(value) and 0 < value <= asked.most):
            raise RequirementProblem(
                f"the text asks for a {asked.name} that cannot be ({fragment}); expected one number above 0 and at "
                f"most {asked.most:g}; correct it, or give the field {asked.key}"
            )
    if not found:
        return None
    first = found[0][0]
    if all(math.isclose(first, value, rel_tol=1e-9) for value, _ in found):
        return first
    fragments = ", ".join(list(dict.fromkeys(fragment for _, fragment in found))[:MAX_QUOTED])
    values = " and ".join(list(dict.fromkeys(f"{value:g}" for value, _ in found))[:MAX_QUOTED])
    raise RequirementProblem(
        f"the text names several {asked.several} ({fragments}: {values}); expected exactly one; leave one of them, "
        f"or give the field {asked.key}"
    )


def quote(fragment: str) -> str:
    """Return words of a text as messages show them."""
    return repr(fragment.strip()[:60])


def _take(pattern: Pattern, found: Found, match: re.Match[str]) -> str:
    """Note the speedups of a match unless its surroundings deny it; return what stays to be searched."""
    if pattern.needs_speed_word and not _speaks_of_speed(match):
        return match.group()
    groups = match.groupdict()
    written = [number(groups[name]) for name in ("n", "m") if groups.get(name)]
    if written and written[0] < 1 and not pattern.is_share and _is_of_a_score(match):
        return match.group()
    if pattern.has_its_bound or not _is_denied(pattern, match):
        found.extend((pattern.speedup(value, match), quote(match.group())) for value in written or [math.nan])
    return MASK * len(match.group())


def _is_of_a_score(match: re.Match[str]) -> bool:
    return bool(
        SCORE_BEFORE.search(_before(match))
        or SCORE_AFTER.match(match.string[match.end() : match.end() + NEAR])
    )


def _is_denied(pattern: Pattern, match: re.Match[str]) -> bool:
    """Whether the words around a number make it something else than a speedup that is asked for."""
    before = _before(match)
    after = match.string[match.end() : match.end() + NEAR]
    at_least = LOWER_BOUND_BEFORE.search(before) is not None
    if pattern.is_share:  # "in at most 60 % of the time" asks for speed, "at least" would forbid it
        return at_least
    if not at_least and (UPPER_BOUND_BEFORE.search(before) or NEGATED_BEFORE.search(before)):
        return True
    if UPPER_BOUND_AFTER.match(after):
        return True
    if pattern.denied_before is None:
        return False
    if DENIED_FOLLOWING.match(after):
        return True
    return not at_least and pattern.denied_before.search(before) is not None


def _before(match: re.Match[str]) -> str:
    """Return what stands before the number in its sentence, as far as it is near."""
    start = match.start("n") if "n" in match.groupdict() else match.start()
    return SENTENCE_END.split(match.string[max(0, start - NEAR) : start])[-1]


def _speaks_of_speed(match: re.Match[str]) -> bool:
    """Whether a word of speed stands in the sentence, or the sentence is nothing but the number."""
    before = SENTENCE_END.split(match.string[max(0, match.start() - SENTENCE) : match.start()])[-1]
    after = SENTENCE_END.split(match.string[match.end() : match.end() + SENTENCE])[0]
    return SPEED.search(before + match.group() + after) is not None or not re.search(r"\w", before + after)


def _masked(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: MASK * len(match.group()), text)
