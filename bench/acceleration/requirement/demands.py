"""Everything that a task's text asks for: speedup, latency, memory, loss; and what reads like a demand and is not read.

English and Chinese; Chinese demands are put into English first. A number is only taken for a demand where its words say of
what. A quantity that is left over with a bound, or with a word of speed, memory or loss next to it, is told as unread:
nothing is guessed, and nothing is dropped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from bench.acceleration.requirement.chinese import in_english
from bench.acceleration.requirement.patterns import NO_GOOD, NUMBER, normalised, number
from bench.acceleration.requirement.reading import (
    MASK,
    SPEEDUP,
    Asked,
    Found,
    quote,
    refuse_garbled,
    take_speedups,
    the_one,
)
from bench.acceleration.requirement.unread import unread

_NEAR = 60  # characters
_OF_SEVERAL = re.compile(
    r"\b(?:[2-9]|[0-9]{2,}|two|three|four|five|six|eight|ten|sixteen|several|all)(?: [a-z]{1,20}){0,2} "
    r"(?:images|pictures|samples|prompts|videos)\b[^.,;:!?¤]*$"
)
# A limit of one step, and of the slowest calls: what is timed is a usual call as a whole.
_OF_ANOTHER = re.compile(
    r"\b(?:each|every|per|single)(?: [a-z]{1,20})? (?:steps?|iterations?)\b[^.,;!?]*$|"
    r"\b(?:p9[0-9](?:\.9+)?|9[0-9](?:\.9+)?(?:th)?[ -]percentile|tail[ -]latency|worst[ -]case|slowest)\b[^.;!?]*$"
)
_ASKED = {
    "speedup": SPEEDUP,
    "latency_s": Asked("latency", "limits of latency", 86_400.0, "max_latency_s"),
    "quality_loss": Asked("quality loss", "limits of quality loss", 0.99, "max_quality_loss"),
    "memory_gb": Asked("memory", "limits of memory", 100_000.0, "max_memory_gb"),
}
"""What is asked for, by the field of `Demands`."""


@dataclass(frozen=True)
class Demands:
    """What a text asks for; None is not asked for.

    Attributes:
        speedup: baseline time over candidate time.
        latency_s: allowed seconds per image or video.
        quality_loss: allowed loss, a fraction.
        memory_gb: allowed peak, in gigabytes of 1e9 bytes.
        unread: parts of the text that read like demands and are not understood.
        elsewhere: what the text says of fields that the task gives elsewhere: field, value, and the words.
    """

    speedup: float | None = None
    latency_s: float | None = None
    quality_loss: float | None = None
    memory_gb: float | None = None
    unread: tuple[str, ...] = ()
    elsewhere: tuple[tuple[str, float, str], ...] = ()


def read_demands(text: str, given: Collection[str] = ()) -> Demands:
    """Return what a text asks for.

    Args:
        text: of the task.
        given: fields of `Demands` that the task gives elsewhere; what the text says of them is only told.

    Raises:
        RequirementProblem: one thing is asked for with two values, or with one that cannot be.
    """
    readable = left = in_english(normalised(text))
    found: dict[str, Found] = {field: [] for field in _ASKED}
    for field, regex, convert in _PATTERNS:
        left = regex.sub(partial(_take, found[field], convert, field=field), left)
    left = take_speedups(left, found["speedup"])
    if not found["speedup"]:  # a greater one says it too
        left = _NO_SLOWER.sub(partial(_take, found["speedup"], lambda _: 1.0, field="speedup"), left)
    if "speedup" not in given:
        refuse_garbled(left)
    read = {field: the_one(found[field], asked) for field, asked in _ASKED.items() if field not in given}
    elsewhere = tuple((field, *said) for field in _ASKED if field in given for said in found[field])
    return Demands(**read, unread=unread(left, readable), elsewhere=elsewhere)


Convert = Callable[[re.Match[str]], float]


def _take(found: Found, convert: Convert, match: re.Match[str], *, field: str) -> str:
    """Note the value of a match; return what stays to be searched.

    Seconds of several images are left over, since nobody says whether they are made one after the other; so are those of
    a step or of the slowest calls.
    """
    if field == "latency_s":
        text, near = match.string, max(0, match.start() - _NEAR)
        if _OF_SEVERAL.search(text, near, match.start()) or _OF_ANOTHER.search(text, near, match.end()):
            return match.group()
    found.append((convert(match), quote(match.group())))
    return MASK * len(match.group())


# --- what is read here -------------------------------------------------------------------------------------------

_N = rf"(?<![\w.,¤-])(?P<n>(?>{NUMBER}))"
_FRACTION = r"(?<![\w.,¤])(?P<n>0?\.[0-9]+)(?![\w%]|[.,][0-9]|\s?(?:%|percent|per cent|pct))"
_SECONDS = (
    r"\s?-?(?P<unit>ms|millis(?:econds?)?|milliseconds?|s|secs?|seconds?|mins?|minutes?)\b"
    r"(?!\s?(?:/|per|a|each|every)\s?(?:denoising |sampling )?(?:it\b|iteration|step))"
)
_BYTES = r"\s?-?(?P<unit>gb|gib|gigabytes?|gigs?|g|mb|mib|megabytes?)\b"
# 2 GB above the baseline is no limit by itself.
_NOT_MORE = (
    r"(?!(?: [a-z]+){0,3} (?:above|over|more than|less than|below|on top of) (?:the |its |that of the )?"
    r"(?:baseline|original|reference|target|current|present)\b)"
)
_PERCENT = r"[\s-]?(?:%|percent\b|per cent\b|pct\b)"
_BELOW = (
    r"(?:at (?:the )?most|no (?:more|longer|slower|higher|greater|larger) than|not (?:be |take |use |need |exceed "
    r")?(?:more|longer|slower|higher|greater|larger|above|over)?(?: than)?|less than|fewer than|smaller than|"
    r"lower than|faster than|quicker than|shorter than|under|below|within|inside|in|max(?:imum|imally|\.)?(?: "
    r"of)?|a maximum of|up to|not exceed(?:ing)?|never exceed(?:ing)?|<=?|limit(?:ed)? (?:of|to)|limit:?|"
    r"n't exceed|cap(?:ped)? (?:of|at)|budget (?:of|is)|tops|by at most|by no more than|beyond)"
)
_ABOUT = r"(?: (?:about|around|roughly|approximately|only|just|an?|the|a total of|of)){0,4}\s?"
_OR_LESS = (
    r"(?:,? (?:or (?:less|faster|below|under|better|shorter|lower|fewer)|at (?:the )?most|max(?:imum)?|tops|is "
    r"the (?:limit|maximum))(?!\s?[0-9]))"
)
_EACH = (
    r"(?:\s?(?:per|for (?:each|one|every|an|a)|an|a|each|every|/)\s?(?:single |generated |512x512 |¤+ )?(?:image|"
    r"picture|sample|img|prompt|generation|call|photo|video|clip)s?)"
)
_LATENCY = (
    r"(?:latency|latencies|run-?time|time|duration|wall-?clock(?: time)?|generation|inference|it|images?|pictures?|"
    r"videos?)"
)
_WORD = r"[^\s.;:!?¤]{1,30}"
_LOSS = (
    r"(?:loss|losses|drop|degradation|decrease|decline|reduction|deterioration|penalty|hit|fall|worse|lower)"
)
_OF_QUALITY = r"(?:quality|clip(?:[ -]score)?|scores?|fidelity|accuracy|alignment|similarity)"
_LOSE = (
    r"(?:los(?:e|es|ing|t)|sacrific(?:e|es|ing)|giv(?:e|es|ing) up|drop(?:s|ping)?|degrad(?:e|es|ing)|fall(?:s|"
    r"ing)?|declin(?:e|es|ing)|decreas(?:e|es|ing)|deteriorat(?:e|es|ing)|suffer(?:s|ing)?|chang(?:e|es|ing)|"
    r"cost(?:s|ing)?)"
)
_ABOVE = r"(?:above|over|beyond|exceeding|(?:more|greater|larger|higher) than)"
# 95 % of the baseline's is what is kept, not what is lost.
_NOT_OF_BASELINE = (
    r"(?! of (?:what|that|(?:the |its |their )?(?:baseline|original|reference|target|current|present|previous)))"
)  # fmt: skip
_KEEP = (
    r"(?:keep(?:s|ing)?|retain(?:s|ing)?|preserv(?:e|es|ing)|maintain(?:s|ing)?|reach(?:es|ing)?|have|with|"
    r"stay(?:s|ing)? at|hold(?:s|ing)?)"
)
_MEMORY = r"(?:memory|vram|ram|gpu memory|peak memory|footprint)"
_FRACTIONS = {
    "half": 1.5,
    "third": 4 / 3,
    "quarter": 1.25,
    "fifth": 1.2,
    "tenth": 1.1,
    "sixth": 7 / 6,
    "eighth": 1.125,
}


def _seconds(match: re.Match[str]) -> float:
    return number(match["n"]) * _seconds_of(match["unit"])


def _seconds_of(unit: str) -> float:
    return 0.001 if unit.startswith(("ms", "mil")) else 60.0 if unit.startswith("mi") else 1.0


def _gigabytes(match: re.Match[str]) -> float:
    unit = match["unit"]
    factor = {"gib": 2**30 / 1e9, "mib": 2**20 / 1e9}.get(unit, 1.0 if unit.startswith("g") else 0.001)
    return number(match["n"]) * factor


def _fraction(match: re.Match[str]) -> float:
    return number(match["n"]) / 100


def _what_is_left(match: re.Match[str]) -> float:
    return 1 - number(match["n"]) / 100


def _what_is_left_of_one(match: re.Match[str]) -> float:
    return 1 - number(match["n"])


def _as_it_is(match: re.Match[str]) -> float:
    return number(match["n"])


def _ratio(match: re.Match[str]) -> float:
    before = number(match["n"]) * _seconds_of(match["unit1"] or match["unit"])
    after = number(match["m"]) * _seconds_of(match["unit"])
    return before / after if after else math.nan


def _growth(match: re.Match[str]) -> float:
    before = number(match["n"])
    return number(match["m"]) / before if before else math.nan


def _fraction_faster(match: re.Match[str]) -> float:
    return _FRACTIONS[match["w"]]


_UNIT = r"(?:ms|milliseconds?|s|secs?|seconds?|mins?|minutes?)\b"
_RATE = (
    r"(?:fps|hz|(?:it|iterations?|images?|imgs?|pictures?|frames?|samples?|videos?|steps?)\s?(?:per |a |each |/)\s?"
    r"(?:s|secs?|seconds?|mins?|minutes?|h|hours?))\b"
)
_SOME = r"(?:at least |about |around |over |more than )?"
# Not 2 seconds faster, and not 8 s for a batch: how many images that is, nobody says.
_NOT_SPED = (
    r"(?! (?:faster|quicker|speedier|speed|(?:for|per|a|in|to make) (?:the |a |an |each )?(?:whole |entire |full "
    r")?(?:batch|run|set|all|[0-9]+ (?:images?|pictures?|prompts?|samples?))))"
)
_AFTERWARDS = rf"(?:about |around |at most |under |below )?(?P<m>(?>{NUMBER}))\s?(?P<unit>{_UNIT}){_EACH}?"
_BEGINS, _ENDS = r"(?:(?<=^)|(?<=[,;(] )|(?<=\())", r"(?=\s?(?:$|[,;.)](?:\s|$)))"
_LONG_ROWS: list[tuple[str, Convert, list[str]]] = [
    ("speedup", _ratio, [
        rf"from (?:about |around |roughly )?{_N}\s?(?P<unit1>{_UNIT})?{_EACH}?(?: {_WORD}){{0,4}}? (?:down )?(?:to|->) "
        rf"{_AFTERWARDS}",
        rf"{_N}\s?(?P<unit1>{_UNIT})?{_EACH}?\s?[-=]{{1,2}}> ?{_AFTERWARDS}",
        rf"{_N}\s?(?P<unit1>{_UNIT}){_EACH}?(?: {_WORD}){{0,4}}? (?:must|should|shall|has to|have to|needs? to|may) "
        rf"(?:become|(?:be (?:cut|reduced|brought)|drop|go|come|fall|get)(?: down)? to) {_AFTERWARDS}",
    ]),
    ("speedup", _growth, [
        rf"from (?:about |around |roughly )?{_N}(?:\s?{_RATE})? (?:up )?(?:to|->) {_SOME}(?P<m>(?>{NUMBER}))\s?{_RATE}",
        rf"{_N}(?:\s?{_RATE})?\s?[-=]{{1,2}}> ?{_SOME}(?P<m>(?>{NUMBER}))\s?{_RATE}",
        rf"\b(?:{_RATE}|throughput|speed|pace)(?: {_WORD}){{0,4}}? from (?:about |around |roughly )?{_N} (?:up )?(?:to|->) "
        rf"{_SOME}(?P<m>(?>{NUMBER}))(?!\s?(?:{_UNIT}|%|x))(?![\w.,]*[0-9])",
    ]),
    ("speedup", _fraction_faster, [
        rf"\b(?:a|one|by a|by one) (?P<w>{'|'.join(_FRACTIONS)}) (?:faster|quicker|speedier)\b",
    ]),
    ("speedup", _as_it_is, [
        rf"\b(?:speed|throughput|pace)(?: of)?:? x\s?(?P<n>(?>{NUMBER}))(?![\w.,]*[0-9])",
        rf"\bx\s?(?P<n>(?>{NUMBER})) (?:the )?(?:speed|throughput|pace)\b",
        rf"{_N}\s?x (?:or (?:more|better)|minimum|at least)\b",
    ]),
    ("quality_loss", _as_it_is, [
        # As the metric is written, or said to be relative; of a score, nobody knows what 0.02 is a part of.
        rf"\bquality[ _-]{_LOSS}\b(?: {_WORD}){{0,4}}?[\s:(=]*{_BELOW}{_ABOUT}{_FRACTION}",
        rf"\b(?:{_OF_QUALITY}[ _-]){{1,3}}{_LOSS}\b(?: {_WORD}){{0,4}}?[\s:(=]*{_BELOW}{_ABOUT}{_FRACTION}\s?\(?relative\b",
    ]),
    ("quality_loss", _what_is_left, [
        rf"\b{_KEEP}(?: (?:at least|no less than|not less than|a minimum of|more than|over|"
        rf">=?))?{_ABOUT}{_N}{_PERCENT} (?:of )?(?:the |its |their )?(?:{_WORD} ){{0,2}}{_OF_QUALITY}\b",
        rf"\b{_OF_QUALITY}(?: {_WORD}){{0,3}} (?:at least|no less than|not (?:be |fall |drop |go )?(?:below|under)|"
        rf">=?)\s?{_N}{_PERCENT} of (?:the |its )?(?:baseline|original|target|reference)\b",
        rf"\b(?:quality|fidelity)[\s:(=]*(?:must |should |has to )?(?:be |stay |remain )?(?:>=?|at least|above|min(?:imum)?"
        rf"(?: of)?)\s?(?<![\w.,¤-])(?P<n>[5-9][0-9](?:[.,][0-9]+)?){_PERCENT}{_ENDS}",
        rf"\b(?:not|n't|never)(?: {_WORD}){{0,2}}? {_LOSE}(?: to)? (?:below|under|less than) {_N}{_PERCENT} of "
        rf"(?:the |its )?(?:(?:baseline|original|target|reference)(?:'s)? )?{_OF_QUALITY}\b",
    ]),
    ("quality_loss", _what_is_left_of_one, [
        rf"(?<![\w.,¤])(?P<n>0?\.[0-9]+)(?:\s?(?:x|times))? "
        rf"(?:of )?(?:the |its )?(?:baseline|original|target|reference)(?:'s)? {_OF_QUALITY}\b",
    ]),
    ("quality_loss", _fraction, [
        rf"\b(?:trad(?:e|es|ing)|exchang(?:e|es|ing)|spend(?:s|ing)?)(?: (?:up to|at most|no more than))?{_ABOUT}{_N}"
        rf"{_PERCENT} (?:of (?:the |its )?)?{_OF_QUALITY}\b",
        rf"\b(?:not|n't|never|without|cannot)(?: {_WORD}){{0,2}}? {_LOSE}(?: {_WORD}){{0,3}}? (?:more than|over|"
        rf"above){_ABOUT}{_N}{_PERCENT}(?: (?:of|in) (?:the |its )?(?:{_WORD} )?{_OF_QUALITY}| {_OF_QUALITY})?",
        rf"(?:\b(?:{_BELOW}|at most)|<=?){_ABOUT}{_N}{_PERCENT}(?: (?:of )?(?:the |its |relative |of "
        rf"){{0,3}}(?:{_OF_QUALITY}(?:'s)? ){{0,3}}{_LOSS}\b|-?(?: {_WORD}){{0,2}}? (?:{_LOSS}) (?:in|of)(?: the| "
        rf"its)? {_OF_QUALITY}\b)(?: in(?: the)? {_OF_QUALITY})?",
        rf"{_N}{_PERCENT}(?: (?:{_OF_QUALITY}(?:'s)? ){{0,3}}{_LOSS}\b(?: (?:in|of)(?: the| its)? "
        rf"{_OF_QUALITY})?){_OR_LESS}",
        rf"\b{_LOSS}\b(?: (?:in|of|to)(?: the| its)?)?(?: {_OF_QUALITY}){{0,3}}(?: "
        rf"{_WORD}){{0,4}}?[\s:(]*{_BELOW}{_ABOUT}{_N}{_PERCENT}{_NOT_OF_BASELINE}",
        rf"\b{_OF_QUALITY}(?:'s)?(?: {_LOSS})?(?: {_WORD}){{0,5}}?[\s:(]*(?:by )?{_BELOW}{_ABOUT}{_N}{_PERCENT}",
        rf"\b{_LOSE}\b(?: {_WORD}){{0,4}}? {_BELOW}{_ABOUT}{_N}{_PERCENT}{_NOT_OF_BASELINE}"
        rf"(?: (?:of|in) (?:the |its )?(?:{_WORD} )?{_OF_QUALITY})?",
        rf"\b{_LOSE}\b(?: {_WORD}){{0,4}}? {_N}{_PERCENT}(?: (?:of|in) (?:the |its )?(?:{_WORD} )?{_OF_QUALITY})?{_OR_LESS}",
        rf"\b{_N}{_PERCENT} {_OF_QUALITY} (?:loss|drop|budget|tolerance|degradation)(?: is)? (?:allowed|budget|"
        rf"tolerated|acceptable|ok|at most|max(?:imum)?)\b",
        rf"\b(?:accept|allow|tolerate)s?(?: {_WORD}){{0,3}}? {_N}{_PERCENT}(?: (?:{_WORD} ){{0,2}}(?:{_LOSS}|"
        rf"{_OF_QUALITY}))",
        rf"\b(?:max|maximum) (?:{_OF_QUALITY} ){{0,3}}{_LOSS}(?: is|:| of|=)? ?{_N}{_PERCENT}",
        rf"\b(?:{_OF_QUALITY} ){{1,3}}{_LOSS} ?(?::|=|<=?|of) ?{_N}{_PERCENT}",
        rf"\b{_OF_QUALITY}:? ?-\s?(?P<n>(?>{NUMBER})){_PERCENT}",
        rf"\b(?:{_OF_QUALITY} ){{0,2}}{_LOSS}(?: {_WORD}){{0,3}}? (?:of )?{_ABOVE} {_N}{_PERCENT} {NO_GOOD}",
        rf"\b{_ABOVE} {_N}{_PERCENT} (?:{_OF_QUALITY} ){{0,2}}{_LOSS}"
        rf"(?: (?:in|of) (?:the )?{_OF_QUALITY})? {NO_GOOD}",
        # As one of several in a list.
        rf"{_BEGINS}(?:{_OF_QUALITY} )?loss ?(?::|=|of)? ?{_N}{_PERCENT}{_ENDS}",
        rf"{_BEGINS}{_N}{_PERCENT} (?:{_OF_QUALITY} {_LOSS}|loss|degradation){_ENDS}",
    ]),
    ("memory_gb", _gigabytes, [
        rf"\b{_MEMORY}(?: {_WORD}){{0,5}}?[\s:=(]*(?:{_BELOW})?{_ABOUT}{_N}{_BYTES}(?:{_OR_LESS})?",
        rf"(?:(?:\b|(?=n't)){_BELOW}|<=?){_ABOUT}{_N}{_BYTES}{_NOT_MORE}(?: (?:of )?(?:(?:gpu |peak |the |device )"
        rf"{{0,3}}{_MEMORY}))?",
        rf"{_N}{_BYTES}(?: (?:of )?(?:(?:gpu |peak )?{_MEMORY}))?{_OR_LESS}",
        rf"\bfit(?:s|ting)?(?: {_WORD}){{0,3}}? (?:in|into|on|within)(?: an?| the)?{_ABOUT}{_N}{_BYTES}(?: (?:of "
        rf")?(?:{_MEMORY}|card|gpu))?",
    ]),
    ("latency_s", _seconds, [
        rf"\b(?:get|bring|push|cut|take|reduce)s? (?:it|this|that|each|(?:the |its )?{_LATENCY})(?: down)? to "
        rf"(?:about |around |under |below |at most |less than )?{_N}{_SECONDS}{_NOT_SPED}{_EACH}?",
        rf"(?:\b{_BELOW}|<=?){_ABOUT}{_N}{_SECONDS}{_NOT_SPED}{_EACH}?(?:{_OR_LESS})?",
        rf"{_N}{_SECONDS}{_NOT_SPED}{_EACH}?{_OR_LESS}{_EACH}?",
        rf"\b{_LATENCY}(?: {_WORD}){{0,4}}?(?: of| is|:| =| must be| should be| has to be| target) "
        rf"?{_N}{_SECONDS}{_NOT_SPED}{_EACH}?",
        rf"\b(?:target|goal|required|limit|latency|budget):? {_N}{_SECONDS}{_EACH}?",
        rf"{_N}{_SECONDS}{_EACH} (?:is|are) (?:the (?:limit|target|goal|maximum|budget)|required|enough|what is asked)",
    ]),
]  # fmt: skip
# Under the names that the annotation list has for them.
_LONG_ROWS += [
    (field, _as_it_is, [rf"\b{asked.key}\b\s?[:=]{{1,2}}\s?{_N}(?![\w%]|[.,][0-9])"])
    for field, asked in _ASKED.items()
]
_PATTERNS = [
    (field, re.compile(regex), convert) for field, convert, regexes in _LONG_ROWS for regex in regexes
]

_NO_SLOWER = re.compile(
    r"\b(?:do(?:es)?|must|may|should|shall|will)(?: not|n't) (?:ever )?(?:make (?:it|this|that|things|anything|generation|"
    r"the [a-z]+) (?:any )?slower|slow (?:(?:it|this|that|things|anything|generation|the [a-z]+) )?down)\b|"
    r"\b(?:must|should|shall|has to|have to|needs? to) (?:be|run|get|become) (?:strictly |still |actually )?"
    r"(?:faster|quicker) than (?:the |its |our )?(?:baseline|original|reference|before|now|today|it (?:is|was))\b"
    r"(?!'s| \w+ing)|"
    r"\b(?:(?:do(?:es)?|must|may|should|shall|will)(?: not|n't)|never|without)(?: ever)? (?:be|get|become|run|getting|"
    r"becoming|being) (?:any )?slower\b(?! than)|"
    r"\b(?:at least as (?:fast|quick)(?: as)?|(?:no|not|never)(?: be| become| get| run)? slower than) (?:the |its |our )?"
    r"(?:baseline|original|reference|before|now|today|it (?:is|was))\b(?!'s| \w+ing)"
)
