"""The ways in which prose names a speedup: a table of patterns, and the words that change their meaning.

All of them read lower-case text with plain signs, as :func:`plain` returns it. A filler between two words is
bounded in words and in characters, so that no text can make a pattern slow.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_SIGNS = str.maketrans(
    {"×": "x", "✕": "x", "⨉": "x", "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "％": "%", "≥": ">",
     "\u00a0": " ", "\u202f": " ", "\u2009": " ", "’": "'"}
)  # fmt: skip


def plain(text: str) -> str:
    """Lower case with one kind of dash, cross and space; every character stays where it is."""
    lowered = (c.lower() if len(c.lower()) == 1 else c for c in text.translate(_SIGNS))
    return text.translate(_SIGNS).lower() if text.isascii() else "".join(lowered)


WORD_NUMBERS = {
    "one and a half": 1.5, "two and a half": 2.5, "three and a half": 3.5, "one-and-a-half": 1.5,
    "two-and-a-half": 2.5, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0,
    "seven": 7.0, "eight": 8.0, "nine": 9.0, "ten": 10.0, "eleven": 11.0, "twelve": 12.0, "fifteen": 15.0,
    "twenty": 20.0, "thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "seventy": 70.0,
    "eighty": 80.0, "ninety": 90.0, "hundred": 100.0,
}  # fmt: skip
# Shares of the time, as the speedup that each of them means.
SHARES = {
    "half": 2.0, "a third": 3.0, "one third": 3.0, "one-third": 3.0, "a quarter": 4.0, "one quarter": 4.0,
    "one-quarter": 4.0, "a fifth": 5.0, "one fifth": 5.0, "a tenth": 10.0, "one tenth": 10.0,
    "two thirds": 1.5, "two-thirds": 1.5, "three quarters": 4 / 3, "three-quarters": 4 / 3,
}  # fmt: skip
MULTIPLES = {"doubl": 2.0, "tripl": 3.0, "quadrupl": 4.0, "twice": 2.0, "thrice": 3.0, "halv": 2.0}


def number(written: str) -> float:
    """``2``, ``1.5``, ``1,5`` (a decimal comma), ``1,000`` (thousands), ``1e-05`` or a number word."""
    if written in WORD_NUMBERS:
        return WORD_NUMBERS[written]
    if re.fullmatch(r"-?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", written):
        return float(written.replace(",", ""))
    return float(written.replace(",", "."))


@dataclass(frozen=True)
class Pattern:
    """One way of naming a speedup.

    Attributes:
        name: what the way is called.
        regex: finds it; the groups ``n`` and ``m`` are the number and, in a range, the second one.
        speedup: the speedup, from the number (NaN where the pattern has none) and the match.
        is_bare: other things are counted in the same way (``4x upscaler``), so the words around decide.
        is_share: the smaller the number, the greater the speedup, which turns "at least" around.
        needs_speed_word: counts only in a sentence that speaks of speed.
    """

    name: str
    regex: re.Pattern[str]
    speedup: Callable[[float, re.Match[str]], float]
    is_bare: bool = False
    is_share: bool = False
    needs_speed_word: bool = False


_DIGITS = r"-?[0-9]+(?:[.,][0-9]+)*(?:e[+-]?[0-9]+)?"
_WORDS = "|".join(sorted(WORD_NUMBERS, key=len, reverse=True))
_NUMBER = rf"(?:{_DIGITS}|\b(?:{_WORDS}))"
_UNIT = r"(?:x|%|percent|times|-?fold)"
# A number that is no part of a word, of another number or of a version; or a range of two.
_QTY = (
    rf"(?<![\w.,/¤])(?<![\w¤]-)(?P<b>between\s+)?(?<![\w.,/])(?P<n>{_NUMBER})"
    rf"(?:\s*{_UNIT}?(?:-|\s*-?to-?\s*|\s+or\s+|(?(b)\s+and\s+|\s+to\s+))(?P<m>{_NUMBER}))?"
)
_PCT = r"\s*(?:%|percent\b|per\s+cent\b|pct\b)"
# Words between two parts of a phrase; none of them may say that the number is about something else.
_WORD = r"(?!(?:steps?|memory|vram|quality|loss|scores?|size|scale|upscal\w*|merg\w*|guidance)\b)[^\s.,;:!?0-9¤]{1,30}"


def _fill(most: int) -> str:
    return rf"(?:\s+{_WORD}){{0,{most}}}?"


_LEAST = (
    r"(?:[\s(]*(?:at\s+least|a\s+minimum\s+of|minimum\s+of|at\s+a\s+minimum|no\s+less\s+than|not\s+less\s+than|"
    r"more\s+than|over|above|about|around|approximately|roughly|exactly|of|an?|>=?|=|~))*[\s(]*"
)
_TIME = (
    r"(?:latency|latencies|time|times|runtime|run-time|duration|wall-clock|seconds?|generation|inference)\b"
    r"(?:\s+(?:time|latency|duration))?"
)
_PACE = r"(?:speed|throughput|pace|rate|images\s+per\s+second)\b"
_SPEEDUP = r"\b(?:speed[\s-]?ups?|accelerations?|speed\s+gains?)"
_FASTER = r"(?:faster|quicker|speedier)\b"
_CUT = (
    r"\b(?:cut|cuts|cutting|reduc\w{1,4}|lower|lowers|lowering|decreas\w{1,3}|shorten\w{0,3}|shrinks?|shrinking|"
    r"trim\w{0,5}|drop\w{0,4}|sav\w{1,3}|bring|slash\w{0,3})\b"
)
_LESS = r"(?:less|lower|shorter|smaller|reduced)\b"
_NO_OTHER_UNIT = (
    r"(?!\s*(?:%|per\s?cent|pct|s\b|sec\w*|ms\b|milli\w*|min\w*|steps?\b|images?\b|prompts?\b|px\b|pixels?\b|"
    r"samples?\b|gpus?\b|points?\b))(?![\w.,]*[0-9])"
)
_MULTIPLE = r"x(?=$|[^\w]|fast|quick|speed)(?!-(?!fast|quick|speed)\w)"
_SHARE_WORDS = "|".join(sorted(SHARES, key=len, reverse=True))


def _gain(n: float, _: re.Match[str]) -> float:
    return n


def _percent_gain(n: float, _: re.Match[str]) -> float:
    return 1 + n / 100


def _percent_saved(n: float, _: re.Match[str]) -> float:
    return 100 / (100 - n) if n < 100 else float("inf")


def _percent_left(n: float, _: re.Match[str]) -> float:
    return 100 / n if n else float("inf")


def _by_word(_: float, match: re.Match[str]) -> float:
    return MULTIPLES[match.group("w")]


def _by_share(_: float, match: re.Match[str]) -> float:
    return SHARES[match.group("w")]


def _two(_: float, __: re.Match[str]) -> float:
    return 2.0


def _ten(_: float, __: re.Match[str]) -> float:
    return 10.0


def _compiled(*alternatives: str) -> list[re.Pattern[str]]:
    return [re.compile(alternative) for alternative in alternatives]


def _rows() -> list[Pattern]:
    """The table; the first row that finds a fragment keeps it."""
    rows = [
        # 30 % faster; a 30 % speedup; 30 % higher throughput; a 30 % increase in speed
        ("percent faster", _percent_gain, {}, _compiled(
            rf"{_QTY}{_PCT}[\s-]*(?:{_FASTER}|(?:higher|more|better|greater)\s+{_PACE}|speed[\s-]?ups?\b|acceleration\b|"
            rf"(?:{_PACE}\s+)?(?:increase|gain|boost|improvement)(?:\s+(?:in|of){_fill(2)}\s+{_PACE})?(?<=speed|"
            r"hput|ease|gain|oost|ment)(?<!% increase)(?<!% improvement))",
        )),
    ]
    return [Pattern(name, regex, speedup, **flags) for name, speedup, flags, found in rows for regex in found]


PATTERNS = _rows()
