"""The ways in which prose names a speedup: a table of patterns, one row for each.

A filler between two words is bounded in words and in characters, so that no text can make a pattern slow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from bench.acceleration.requirement.words import REPEATED_BEFORE, RESIZED_BEFORE

_SIGNS = str.maketrans(
    {"×": "x", "✕": "x", "⨉": "x", "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "％": "%", "≥": ">",
     "≤": "<", "’": "'", "¤": " ", '"': " ", "“": " ", "”": " ", "→": "->", "➜": "->", "⇒": "=>"}
)  # fmt: skip
_PARAGRAPH = re.compile(r"\n\s*\n")


def normalised(text: str) -> str:
    """Return a text in lower case with single spaces and one kind of dash and cross; a paragraph ends like a sentence."""
    return " ".join(_PARAGRAPH.sub(" . ", text.translate(_SIGNS)).lower().replace("w/o ", "without ").split())


WORD_NUMBERS = {
    "one and a half": 1.5, "two and a half": 2.5, "three and a half": 3.5, "one-and-a-half": 1.5,
    "two-and-a-half": 2.5, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0,
    "seven": 7.0, "eight": 8.0, "nine": 9.0, "ten": 10.0, "eleven": 11.0, "twelve": 12.0, "fifteen": 15.0,
    "twenty": 20.0, "thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "seventy": 70.0,
    "eighty": 80.0, "ninety": 90.0, "hundred": 100.0,
}  # fmt: skip
_UNDER_TEN = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WORD_NUMBERS |= {
    f"{whole} point {part}": WORD_NUMBERS[whole] + tenths / 10
    for whole in _UNDER_TEN
    for tenths, part in enumerate(_UNDER_TEN, 1)
}
# Shares of the time, as the speedup that each of them means.
SHARES = {
    "half": 2.0, "a half": 2.0, "a third": 3.0, "one third": 3.0, "one-third": 3.0, "a quarter": 4.0, "one quarter": 4.0,
    "one-quarter": 4.0, "a fifth": 5.0, "one fifth": 5.0, "a tenth": 10.0, "one tenth": 10.0,
    "two thirds": 1.5, "two-thirds": 1.5, "three quarters": 4 / 3, "three-quarters": 4 / 3,
}  # fmt: skip
MULTIPLES = {"doubl": 2.0, "tripl": 3.0, "quadrupl": 4.0, "twice": 2.0, "thrice": 3.0}


def number(written: str) -> float:
    """Return the number that is written: ``2``, ``1.5``, ``1,5`` (a decimal comma), ``1,000``, ``1e-05`` or a word.

    NaN for digits that are no number, such as ``1.2.3``.
    """
    if written in WORD_NUMBERS:
        return WORD_NUMBERS[written]
    if re.fullmatch(r"-?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", written):
        return float(written.replace(",", ""))
    try:
        return float(written.replace(",", "."))
    except ValueError:
        return math.nan


Convert = Callable[[float, re.Match[str]], float]


@dataclass(frozen=True)
class Pattern:
    """One way of naming a speedup.

    Attributes:
        name: what the way is called.
        cues: a text with none of these cannot match; looking for them is faster than searching.
        regex: finds it; the groups ``n`` and ``m`` are the number and, in a range, the second one.
        speedup: the speedup, from the number (NaN where the pattern has no group ``n``) and the match.
        is_share: the smaller the number, the greater the speedup, which turns "at least" around.
        needs_speed_word: counts only in a sentence that speaks of speed.
        has_its_bound: says itself what is no good, so that a bound before the number denies nothing.
        denied_before: finds words before the number that make it count something else (``4x upscaler``).
    """

    name: str
    cues: tuple[str, ...]
    regex: re.Pattern[str]
    speedup: Convert
    is_share: bool = False
    needs_speed_word: bool = False
    has_its_bound: bool = False
    denied_before: re.Pattern[str] | None = None


# The parts of which the patterns are made.
_DIGITS = r"-?[0-9]+(?:[.,][0-9]+)*(?:e[+-]?[0-9]+)?"
_WORDS = "|".join(sorted(WORD_NUMBERS, key=len, reverse=True))
NUMBER = rf"(?:{_DIGITS}|\b(?:{_WORDS}))"
_PCT = r"[\s-]?(?:%|percent\b|per cent\b|pct\b)"
# One number that is no part of a word, a version or another number; or a range of two.
_QTY = (
    rf"(?:\b|(?=-))(?<![\w/¤])(?<![0-9][.,])(?<![\w¤]-)(?P<b>between )?(?P<n>{NUMBER})"
    r"(?:(?:\s?(?:x|%|percent|times|-?fold))?"
    rf"(?:-|-to-|\s?to\s|\sor\s|(?(b)\sand\s|(?!)))(?P<m>{NUMBER}))?"
)
# Words between two parts of a phrase; none may say that the number is about something else.
_OTHER = r"steps?|memory|vram|quality|loss|scores?|size|scale|upscal\w*|merg\w*|guidance"
_WORD = rf"(?!(?:{_OTHER})\b)[^\s.,;:!?0-9¤]{{1,30}}"
_WORD_OF_GAIN = (
    rf"(?!(?:{_OTHER}|reduc\w*|cut\w*|lower\w*|decreas\w*|latency|times?)\b)[^\s.,;:!?0-9¤]{{1,30}}"
)
_LEAST = (
    r"(?:[\s(]*(?:at least|a minimum of|minimum of|at a minimum|no less than|not less than|more than|over|above|"
    r"about|around|approximately|roughly|exactly|of|an?\b|>=?|=|~))*[\s(]*"
)
_CONNECTED = (
    r"(?:[\s(]*(?:at least|a minimum of|minimum of|no less than|not less than|more than|about|around|"
    r"approximately|roughly|exactly|of|is|by|to|:|>=?|=|~|must|should|shall|has to|have to|needs? to|be|reach(?:es)?|"
    r"exceeds?|above|(?:greater|higher|larger|better) than|equals?))+[\s(]*"
)
_TIME = r"\b(?:latency|latencies|times?|runtime|run-time|duration|wall[- ]clock)\b"
_PACE = (
    r"\b(?:speed|throughput|pace|rate|fps|(?:images|imgs|pictures|frames|samples|videos)"
    r"(?: (?:per|a|each) (?:second|minute|hour)|/(?:s(?:ec)?|min(?:ute)?|h(?:our)?)))\b"
)
_SPEEDUP = r"(?<![a-z])(?:speed[\s-]?ups?|accelerations?|speed gains?)\b"
_FASTER = r"(?:faster|quicker|speedier)\b"
_CUT = (
    r"\b(?:cuts?|cutting|reduc\w{1,4}|lower(?:s|ed|ing)?|decreas\w{1,3}|shorten\w{0,3}|shrinks?|trim\w{0,5}|"
    r"drop\w{0,4}|sav(?:e|es|ed|ing)|bring|slash\w{0,3}|shav(?:e|es|ed|ing)|knock\w{0,3}|tak(?:e|es|ing)|trimm\w{2,3})\b"
)
_SAVING = r"(?:reduction|decrease|cut|savings?|drop)\b"
_LESS = r"(?:less|lower|shorter|smaller|reduced)\b"
_NO_OTHER_UNIT = (
    r"(?! ?(?:%|per ?cent|pct|s\b|sec\w*|ms\b|milli\w*|min\w*|px\b|pixels?\b|points?\b)|"
    r" (?:[^\s.,;:]{1,30} )?(?:steps?|images?|prompts?|samples?|gpus?|pipelines?)\b)(?![\w.,]*[0-9])"
)
_SHARE = "|".join(sorted(SHARES, key=len, reverse=True))
_WHOSE = (
    r"(?:(?:the |its |our )?(?:baseline|original|current|present|reference|previous|old)(?:'s)? |the |its )"
)
_OF_BASELINE = r"of (?:the |its |their |that of the )?(?:baseline|original|current|present|reference|previous|old|target)\b"
_TO_AT_MOST = (
    r" to(?: (?:at most|no more than|not more than|less than|under|below|about|around|roughly|only|some))? "
)
_MULTIPLY = "doubl|tripl|quadrupl"
# What is said of a number that does not reach what is asked.
NO_GOOD = (
    r"(?:is|are|does|do|will|would|counts?|means?|gets?|fails?)\b(?: (?:be|as|an?|considered|regarded))*"
    r"(?:(?<=fails)|(?<=fail)|(?: not|n't)\b| (?:fail\w*|reject\w*|unaccept\w*|insufficient|useless|too (?:slow|little))\b)"
)


def _fill(most: int, word: str = _WORD) -> str:
    return rf"(?: {word}){{0,{most}}}?"


def _gain(n: float, _: re.Match[str]) -> float:
    return n


def _percent_gain(n: float, _: re.Match[str]) -> float:
    return 1 + n / 100 if n > 0 else math.nan


def _percent_reached(n: float, _: re.Match[str]) -> float:
    return n / 100 if n > 100 else math.nan


def _percent_saved(n: float, _: re.Match[str]) -> float:
    return 100 / (100 - n) if 0 < n < 100 else math.nan


def _percent_left(n: float, _: re.Match[str]) -> float:
    return 100 / n if n > 0 else math.nan


def _multiple(_: float, match: re.Match[str]) -> float:
    return MULTIPLES[match["w"]]


def _share(_: float, match: re.Match[str]) -> float:
    return SHARES[match["w"]]


def _share_saved(_: float, match: re.Match[str]) -> float:
    return 1 / (1 - 1 / SHARES[match["w"]])


def _fraction_left(_: float, match: re.Match[str]) -> float:
    left, whole = int(match["a"]), int(match["b"])
    return whole / left if left else math.nan


def _times_left(n: float, _: re.Match[str]) -> float:
    return 1 / n if n > 0 else math.nan


def _always(speedup: float) -> Convert:
    return lambda _, __: speedup


_PERCENT = ("%", "percent", "per cent", "pct")
# (name, cues, speedup, regular expressions, flags); what one row finds is hidden from the rows below it.
_ROWS: list[tuple[str, tuple[str, ...], Convert, list[str], dict[str, object]]] = [
    ("30% faster", _PERCENT, _percent_gain, [
        rf"{_QTY}{_PCT}(?:[\s-]?(?:{_FASTER}|{_SPEEDUP}|speed (?:increase|boost|improvement)\b)|"
        rf" (?:higher|more|better|greater) {_PACE}|"
        rf" (?:increase|gain|boost|improvement) (?:in|of){_fill(2)} {_PACE})",
        rf"\b(?:increase|gain|boost|improvement) of{_LEAST}{_QTY}{_PCT} (?:in|of){_fill(2)} {_PACE}",
        rf"\b{_FASTER} by{_LEAST}{_QTY}{_PCT}",
    ], {}),
    ("throughput +30%", _PERCENT, _percent_gain, [
        rf"{_PACE}(?::? ?\+ ?|(?: \w{{1,10}})? up ){_QTY}{_PCT}", rf"\+ ?{_QTY}{_PCT} {_PACE}",
    ], {}),
    ("150% of the baseline's speed", _PERCENT, _percent_reached, [
        rf"(?<![\w.,¤/-])(?P<n>1[0-9]{{2}}|[2-9][0-9]{{2}}){_PCT} of{_fill(4)} {_PACE}",
    ], {}),
    ("speedup of 30%", _PERCENT, _percent_gain, [rf"{_SPEEDUP}{_CONNECTED}{_QTY}{_PCT}"], {}),
    ("speed it up by 30%", _PERCENT, _percent_gain, [
        rf"\b(?:accelerat\w{{1,4}}|speed(?:s|ing)?|sped){_fill(6, _WORD_OF_GAIN)} by{_LEAST}{_QTY}{_PCT}",
        rf"\b(?:increas\w{{1,3}}|improv\w{{1,3}}|rais\w{{1,3}}|boost\w{{0,3}}){_fill(3)} {_PACE}"
        rf"{_fill(4, _WORD_OF_GAIN)} by{_LEAST}{_QTY}{_PCT}",
        rf"{_PACE}{_fill(4, _WORD_OF_GAIN)} (?:up|rises?|grows?|climbs?|increases?|improves?) by{_LEAST}{_QTY}{_PCT}",
    ], {}),
    ("cut the latency by 40%", _PERCENT, _percent_saved, [
        rf"{_CUT}{_fill(4)} {_TIME}{_fill(4)} by{_LEAST}{_QTY}{_PCT}",
        rf"{_TIME}{_fill(4)} {_CUT} by{_LEAST}{_QTY}{_PCT}",
        rf"{_CUT}{_LEAST}{_QTY}{_PCT}(?: (?:of|off){_fill(4)}|{_fill(1)}) {_TIME}", rf"{_QTY}{_PCT} off{_fill(4)} {_TIME}",
        rf"{_TIME}:? ?- ?(?P<n>[0-9]+(?:[.,][0-9]+)?){_PCT}",
        rf"{_TIME} {_SAVING} (?:of|by){_LEAST}{_QTY}{_PCT}",
    ], {}),
    ("40% less time", _PERCENT, _percent_saved, [
        rf"{_QTY}{_PCT}(?: {_LESS}{_fill(3)} {_TIME}|{_fill(2)} {_TIME} {_SAVING}|"
        rf" {_SAVING} (?:in|of){_fill(3)} {_TIME})",
        rf"{_TIME}{_fill(4)} {_LEAST}{_QTY}{_PCT} {_LESS}",
    ], {}),
    ("60% of the time", _PERCENT, _percent_left, [
        rf"{_QTY}{_PCT} of{_fill(4)} {_TIME}(?: {_OF_BASELINE})?",
        rf"{_TIME}{_fill(4)}{_TO_AT_MOST}{_QTY}{_PCT} {_OF_BASELINE}",
        rf"{_TIME}{_fill(4)} (?:under|below|at most|within|no more than|not exceed|to) {_QTY}{_PCT} "
        rf"(?:{_OF_BASELINE}|of what it (?:is|was|takes|took)\b)",
        rf"{_TIME}{_fill(4)} {_CUT}{_TO_AT_MOST}{_QTY}{_PCT}(?! \w)",
        rf"{_CUT}{_fill(4)} {_TIME}{_TO_AT_MOST}{_QTY}{_PCT}(?! \w)",
    ], {"is_share": True}),
    ("70% as long", _PERCENT, _percent_left, [rf"{_QTY}{_PCT} as long\b"], {"is_share": True}),
    ("3/4 of the time", ("/",), _fraction_left, [
        rf"(?<![\w./])(?P<a>[0-9]{{1,3}})\s?/\s?(?P<b>[0-9]{{1,3}}) of{_fill(4)} {_TIME}",
    ], {"is_share": True}),
    ("0.8x the time", ("time", "latency", "duration", "wall"), _times_left, [
        rf"(?<![\w.,/-])(?P<n>0?[.,][0-9]+)(?:\s?(?:x|times)(?: of)?| of){_fill(3)} {_TIME}",
        rf"{_TIME}{_fill(4)}{_TO_AT_MOST}(?P<n>0?[.,][0-9]+)(?:\s?(?:x|times))? {_OF_BASELINE}",
    ], {"is_share": True}),
    ("cut the latency by a third", tuple(SHARES), _share_saved, [
        rf"{_CUT}{_fill(4)} {_TIME}{_fill(4)} by{_LEAST}(?P<w>{_SHARE})\b",
        rf"{_TIME}{_fill(4)} {_CUT} by{_LEAST}(?P<w>{_SHARE})\b",
        rf"{_CUT}{_LEAST}(?P<w>{_SHARE}) (?:of|off){_fill(4)} {_TIME}",
    ], {}),
    ("half the time", tuple(SHARES), _share, [
        rf"{_TIME}{_fill(4)}{_TO_AT_MOST}(?P<w>{_SHARE})(?: {_OF_BASELINE}| of what it (?:is|was)\b)",
        rf"\b(?P<w>{_SHARE}) (?:of )?(?:the|its|their|that){_fill(3)} {_TIME}",
        rf"\b(?P<w>{_SHARE}) as long\b",
    ], {"is_share": True}),
    ("halve the latency", ("halv", "half"), _always(2.0), [
        rf"\bhalv(?:e|es|ed|ing)\b{_fill(4)} {_TIME}",
        rf"{_TIME}{_fill(4)} halved\b",
        rf"{_CUT}{_fill(4)} {_TIME}{_fill(2)} (?:in|by|to) half\b",
        rf"{_TIME}{_fill(2)} {_CUT} (?:in|by|to) half\b",
        rf"{_CUT} (?:in|by) half{_fill(3)} {_TIME}",
    ], {}),
    ("double the speed", ("doubl", "tripl", "quadrupl"), _multiple, [
        rf"\b(?P<w>{_MULTIPLY})(?:e|es|ed|ing)\b{_fill(3)} {_PACE}",
        rf"{_PACE}{_fill(4)} (?P<w>{_MULTIPLY})e[ds]?\b",
    ], {}),
    ("twice as fast", ("twice", "thrice"), _multiple, [
        rf"\b(?P<w>twice|thrice) (?:as (?:fast|quick\w{{0,2}})\b|{_FASTER}|(?:the|as many){_fill(2)} {_PACE})",
    ], {}),
    ("an order of magnitude faster", ("order of magnitude",), _always(10.0), [
        rf"\border of magnitude (?:{_FASTER}|{_SPEEDUP}|as fast)",
        rf"(?:{_FASTER}|{_SPEEDUP}){_fill(3)} order of magnitude\b",
    ], {}),
    ("below 1.4x is a fail", ("x",), _gain, [
        rf"\b(?:below|under|less than|short of|slower than) {_QTY}\s?x(?: (?:{_FASTER}|{_SPEEDUP}))? {NO_GOOD}",
    ], {"has_its_bound": True}),
    ("2x faster", ("x",), _gain, [
        rf"{_QTY}\s?x[\s-]?(?:{_FASTER}|{_SPEEDUP}|as fast\b|(?:the|higher|more|greater){_fill(2)} {_PACE}|{_PACE})",
        rf"(?<!\w)x\s?(?P<n>{_DIGITS})[\s-](?:{_FASTER}|{_SPEEDUP})",
        rf"{_SPEEDUP}{_CONNECTED}x\s?(?P<n>{_DIGITS})(?![\w.,]*[0-9])",
    ], {}),
    ("two times faster", ("time",), _gain, [
        rf"{_QTY}[\s-]?times?[\s-](?:as (?:fast|quick)|{_FASTER}|(?:the|higher|more|greater){_fill(2)} {_PACE}|"
        rf"{_SPEEDUP})",
    ], {}),
    ("1.5 times the baseline's speed", ("times", "x"), _gain, [rf"{_QTY}\s?(?:times|x) (?:as many |{_WHOSE}){_PACE}"], {}),
    ("twofold", ("fold",), _gain, [rf"{_QTY}[\s-]?fold\b"], {"denied_before": RESIZED_BEFORE}),
    ("1.8 times", ("times",), _gain, [rf"{_QTY}\s?times\b"], {"denied_before": REPEATED_BEFORE, "needs_speed_word": True}),
    ("2x", ("x",), _gain, [rf"{_QTY}\s?x(?!\w)(?!-(?!fast|quick|speed)\w)"], {"denied_before": RESIZED_BEFORE}),
    ("by a factor of 2", ("factor",), _gain, [rf"\bfactor{_LEAST}{_QTY}{_NO_OTHER_UNIT}"],
     {"denied_before": RESIZED_BEFORE, "needs_speed_word": True}),
    ("speed it up by 1.6", ("speed", "sped", "accel"), _gain, [
        rf"\b(?:accelerat\w{{1,4}}|speed(?:s|ing)?|sped){_fill(6, _WORD_OF_GAIN)} by{_LEAST}"
        rf"(?P<n>[1-9][.,][0-9]+{_NO_OTHER_UNIT}|[2-9](?=\s?(?:$|[.,;:)](?:\s|$)| (?:with|while|and|without|over)\b)))",
    ], {}),
    ("speedup of 1.7", ("speed", "accel"), _gain, [
        rf"\ba {_QTY} {_SPEEDUP}", rf"\bfactor-of-(?P<n>{NUMBER})[- ]{_SPEEDUP}",
        rf"{_SPEEDUP}(?: (?:factor|ratio|target|goal|requirement))?{_CONNECTED}{_QTY}{_NO_OTHER_UNIT}",
        rf"(?<![a-z])speed[_-]?up[_-](?:factor|ratio|target|goal|min(?:imum)?|threshold)\s?{_CONNECTED}{_QTY}{_NO_OTHER_UNIT}",
        rf"(?<![a-z])speed-?ups?(?: factor| ratio)? {_QTY}(?=\s?(?:$|[.,;:)](?:\s|$)))",
    ], {}),
]  # fmt: skip

PATTERNS: tuple[Pattern, ...] = tuple(
    Pattern(name, cues, re.compile(regex), speedup, **flags)  # type: ignore[arg-type]
    for name, cues, speedup, regexes, flags in _ROWS
    for regex in regexes
)
