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

from bench.acceleration.requirement.chinese import in_english
from bench.acceleration.requirement.patterns import NUMBER, normalised, number
from bench.acceleration.requirement.reading import MASK, required_speedup_and_rest
from bench.core.errors import RequirementProblem

MAX_LATENCY_S, MAX_MEMORY_GB, _MAX_LOSS = 86_400.0, 100_000.0, 0.99
_MAX_UNREAD, _MAX_QUOTED = 8, 120


@dataclass(frozen=True)
class Demands:
    """What a text asks for; None is not asked for.

    Attributes:
        speedup: baseline time over candidate time.
        latency_s: allowed seconds per image.
        quality_loss: allowed loss, a fraction.
        memory_gb: allowed peak, in gigabytes of 1e9 bytes.
        unread: parts of the text that read like demands and are not understood.
    """

    speedup: float | None = None
    latency_s: float | None = None
    quality_loss: float | None = None
    memory_gb: float | None = None
    unread: tuple[str, ...] = ()


def read_demands(text: str, given: Collection[str] = ()) -> Demands:
    """Return what a text asks for.

    Args:
        text: of the task.
        given: fields of `Demands` that the task gives elsewhere; what the text says of them does not count.

    Raises:
        RequirementProblem: one thing is asked for with two values, or with one that cannot be.
    """
    readable = left = in_english(normalised(text))
    found: dict[str, list[tuple[float, str]]] = {}
    for what, regex, convert in _PATTERNS:
        left = regex.sub(_taker(found.setdefault(what, []), convert), left)
    try:
        speedup, left = required_speedup_and_rest(left, tuple(found.get("speedup", ())))
    except RequirementProblem:
        if "speedup" not in given:
            raise
        speedup, left = None, ""
    for what, field in (("latency", "latency_s"), ("loss", "quality_loss"), ("memory", "memory_gb")):
        if field in given:
            found[what] = []
    return Demands(
        speedup=None if "speedup" in given else speedup,
        latency_s=_one("latency", found["latency"], MAX_LATENCY_S),
        quality_loss=_one("quality loss", found["loss"], _MAX_LOSS),
        memory_gb=_one("memory", found["memory"], MAX_MEMORY_GB),
        unread=_unread(left, readable),
    )


Convert = Callable[[re.Match[str]], float]


def _taker(found: list[tuple[float, str]], convert: Convert) -> Callable[[re.Match[str]], str]:
    def take(match: re.Match[str]) -> str:
        found.append((convert(match), repr(match.group().strip()[:60])))
        return MASK * len(match.group())

    return take


def _one(what: str, found: list[tuple[float, str]], most: float) -> float | None:
    values = list(dict.fromkeys(value for value, _ in found))
    for value, fragment in found:
        if not (math.isfinite(value) and 0 < value <= most):
            raise RequirementProblem(
                f"the text asks for a {what} that cannot be ({fragment}); expected a number above 0 and at most {most:g}; "
                "correct it"
            )
    if len(values) > 1:
        quoted = ", ".join(fragment for _, fragment in found[:4])
        raise RequirementProblem(
            f"the text names several limits of {what} ({quoted}); expected exactly one; leave one of them"
        )
    return values[0] if values else None


# --- what is read here -------------------------------------------------------------------------------------------

_N = rf"(?<![\w.,¤-])(?P<n>(?>{NUMBER}))"
_SECONDS = r"\s?-?(?P<unit>ms|millis(?:econds?)?|milliseconds?|s|secs?|seconds?|mins?|minutes?)\b(?!\s?/\s?(?:it|step))"
_BYTES = r"\s?-?(?P<unit>gb|gib|gigabytes?|gigs?|g|mb|mib|megabytes?)\b"
_PERCENT = r"\s?(?:%|percent\b|per cent\b|pct\b)"
_BELOW = (
    r"(?:at (?:the )?most|no (?:more|longer|slower|higher|greater|larger) than|not (?:be |take |use |need |exceed "
    r")?(?:more|longer|"
    r"slower|higher|greater|larger|above|over)?(?: than)?|less than|fewer than|smaller than|lower than|faster than"
    r"|quicker than|"
    r"shorter than|under|below|within|inside|in|max(?:imum|imally|\.)?(?: of)?|a maximum of|up to|not exceed(?:ing"
    r")?|never exceed"
    r"(?:ing)?|<=?|limit(?:ed)? (?:of|to)|limit:?|cap(?:ped)? (?:of|at)|budget (?:of|is)|tops|by at most|by no mor"
    r"e than|beyond)"
)
_ABOUT = r"(?: (?:about|around|roughly|approximately|only|just|an?|the|a total of|of)){0,4}\s?"
_OR_LESS = (
    r"(?:,? (?:or (?:less|faster|below|under|better|shorter|lower|fewer)|at (?:the )?most|max(?:imum)?|tops|is the"
    r" (?:limit|maximum))(?!\s?[0-9]))"
)
_EACH = (
    r"(?:\s?(?:per|for (?:each|one|every|an|a)|an|a|each|every|/)\s?(?:single |generated |512x512 |¤+ )?"
    r"(?:image|picture|sample|img|prompt|generation|call|photo)s?)"
)
_LATENCY = r"(?:latency|latencies|run-?time|time|duration|wall-?clock(?: time)?|generation|inference|it|images?|pictures?)"
_WORD = r"[^\s.;:!?¤]{1,30}"
_LOSS = (
    r"(?:loss|losses|drop|degradation|decrease|decline|reduction|deterioration|penalty|hit|fall|worse|lower)"
)
_OF_QUALITY = r"(?:quality|clip(?:[ -]score)?|scores?|fidelity|accuracy|alignment|similarity)"
_LOSE = (
    r"(?:los(?:e|es|ing|t)|sacrific(?:e|es|ing)|giv(?:e|es|ing) up|drop(?:s|ping)?|degrad(?:e|es|ing)|fall(?:s|ing"
    r")?|declin(?:e|es|ing)|decreas(?:e|es|ing)|deteriorat(?:e|es|ing)|suffer(?:s|ing)?|chang(?:e|es|ing)|cost(?:s"
    r"|ing)?)"
)
_KEEP = (
    r"(?:keep(?:s|ing)?|retain(?:s|ing)?|preserv(?:e|es|ing)|maintain(?:s|ing)?|reach(?:es|ing)?|have|with|stay(?:"
    r"s|ing)? at|hold(?:s|ing)?)"
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
    unit = match["unit"]
    factor = 0.001 if unit.startswith(("ms", "mil")) else 60.0 if unit.startswith("mi") else 1.0
    return number(match["n"]) * factor


def _gigabytes(match: re.Match[str]) -> float:
    unit = match["unit"]
    factor = {"gib": 2**30 / 1e9, "mib": 2**20 / 1e9}.get(unit, 1.0 if unit.startswith("g") else 0.001)
    return number(match["n"]) * factor


def _fraction(match: re.Match[str]) -> float:
    return number(match["n"]) / 100


def _what_is_left(match: re.Match[str]) -> float:
    return 1 - number(match["n"]) / 100


def _ratio(match: re.Match[str]) -> float:
    after = number(match["m"])
    units = [
        0.001 if unit.startswith(("ms", "mil")) else 60.0 if unit.startswith("mi") else 1.0
        for unit in (match["unit1"] or match["unit"], match["unit"])
    ]
    return number(match["n"]) * units[0] / (after * units[1]) if after else math.nan


def _fraction_faster(match: re.Match[str]) -> float:
    return _FRACTIONS[match["w"]]


_UNIT = r"(?:ms|milliseconds?|s|secs?|seconds?|mins?|minutes?)\b"
# Not 2 seconds faster, and not 8 s for a batch: how many images that is, nobody says.
_NOT_SPED = (
    r"(?! (?:faster|quicker|speedier|speed|(?:for|per|a|in|to make) (?:the |a |an |each )?(?:whole |entire |full )?"
    r"(?:batch|run|set|all|[0-9]+ (?:images?|pictures?|prompts?|samples?))))"
)
_LONG_ROWS: list[tuple[str, Convert, list[str]]] = [
    ("speedup", _ratio, [
        rf"from (?:about |around |roughly )?{_N}\s?(?P<unit1>{_UNIT})?(?: {_WORD}){{0,4}}? (?:down )?(?:to|->) (?:a"
        rf"bout |around |at most |under |below )?"
        rf"(?P<m>(?>{NUMBER}))\s?(?P<unit>{_UNIT}){_EACH}?",
    ]),
    ("speedup", _fraction_faster, [
        rf"\b(?:a|one|by a|by one) (?P<w>{'|'.join(_FRACTIONS)}) (?:faster|quicker|speedier)\b",
    ]),
    ("speedup", lambda match: number(match["n"]), [
        rf"\b(?:speed|throughput|pace)(?: of)?:? x\s?(?P<n>(?>{NUMBER}))(?![\w.,]*[0-9])",
        rf"\bx\s?(?P<n>(?>{NUMBER})) (?:the )?(?:speed|throughput|pace)\b",
        rf"{_N}\s?x (?:or (?:more|better)|minimum|at least)\b",
    ]),
    ("loss", _what_is_left, [
        rf"\b{_KEEP}(?: (?:at least|no less than|not less than|a minimum of|more than|over|>=?))?{_ABOUT}{_N}{_PERCENT} "
        rf"(?:of )?(?:the |its |their )?(?:{_WORD} ){{0,2}}{_OF_QUALITY}\b",
        rf"\b{_OF_QUALITY}(?: {_WORD}){{0,3}} (?:at least|no less than|not (?:be |fall |drop |go )?(?:below|under)|"
        rf">=?) {_N}{_PERCENT} of "
        rf"(?:the |its )?(?:baseline|original|target|reference)\b",
    ]),
    ("loss", _fraction, [
        rf"\b(?:not|n't|never|without|cannot)(?: {_WORD}){{0,2}}? {_LOSE}(?: {_WORD}){{0,3}}? (?:more than|over|abo"
        rf"ve){_ABOUT}{_N}{_PERCENT}"
        rf"(?: (?:of|in) (?:the |its )?(?:{_WORD} )?{_OF_QUALITY}| {_OF_QUALITY})?",
        rf"\b(?:{_BELOW}|at most){_ABOUT}{_N}{_PERCENT}(?: (?:of )?(?:the |its |relative |of ){{0,3}}(?:"
        rf"{_OF_QUALITY}(?:'s)? ){{0,3}}{_LOSS}\b"
        rf"|-?(?: {_WORD}){{0,2}}? (?:{_LOSS}) (?:in|of)(?: the| its)? {_OF_QUALITY}\b)(?: in(?: the)? {_OF_QUALITY})?",
        rf"{_N}{_PERCENT}(?: (?:{_OF_QUALITY}(?:'s)? ){{0,3}}{_LOSS}\b(?: (?:in|of)(?: the| its)? {_OF_QUALITY})?)"
        rf"{_OR_LESS}",
        rf"\b{_LOSS}\b(?: (?:in|of|to)(?: the| its)?)?(?: {_OF_QUALITY}){{0,3}}(?: {_WORD}){{0,4}}?[\s:(]*{_BELOW}"
        rf"{_ABOUT}{_N}{_PERCENT}",
        rf"\b{_OF_QUALITY}(?:'s)?(?: {_LOSS})?(?: {_WORD}){{0,5}}?[\s:(]*(?:by )?{_BELOW}{_ABOUT}{_N}{_PERCENT}",
        rf"\b{_LOSE}\b(?: {_WORD}){{0,4}}? {_BELOW}{_ABOUT}{_N}{_PERCENT}(?: (?:of|in) (?:the |its )?(?:{_WORD} )?"
        rf"{_OF_QUALITY})?",
        rf"\b{_LOSE}\b(?: {_WORD}){{0,4}}? {_N}{_PERCENT}(?: (?:of|in) (?:the |its )?(?:{_WORD} )?{_OF_QUALITY})?{_OR_LESS}",
        rf"\b{_N}{_PERCENT} {_OF_QUALITY} (?:loss|drop|budget|tolerance|degradation)(?: is)? (?:allowed|budget|tole"
        rf"rated|acceptable|ok|at most|max(?:imum)?)\b",
        rf"\b(?:accept|allow|tolerate)s?(?: {_WORD}){{0,3}}? {_N}{_PERCENT}(?: (?:{_WORD} ){{0,2}}(?:{_LOSS}|"
        rf"{_OF_QUALITY}))",
        rf"\b(?:max|maximum) (?:{_OF_QUALITY} ){{0,3}}{_LOSS}(?: is|:| of|=)? ?{_N}{_PERCENT}",
        rf"\b(?:{_OF_QUALITY} ){{1,3}}{_LOSS} ?(?::|=|<=?|of) ?{_N}{_PERCENT}",
    ]),
    ("memory", _gigabytes, [
        rf"\b{_MEMORY}(?: {_WORD}){{0,5}}?[\s:=(]*(?:{_BELOW})?{_ABOUT}{_N}{_BYTES}(?:{_OR_LESS})?",
        rf"(?:\b{_BELOW}|<=?){_ABOUT}{_N}{_BYTES}(?: (?:of )?(?:(?:gpu |peak |the |device ){{0,3}}{_MEMORY}))?",
        rf"{_N}{_BYTES}(?: (?:of )?(?:(?:gpu |peak )?{_MEMORY}))?{_OR_LESS}",
        rf"\bfit(?:s|ting)?(?: {_WORD}){{0,3}}? (?:in|into|on|within)(?: an?| the)?{_ABOUT}{_N}{_BYTES}(?: (?:of )?"
        rf"(?:{_MEMORY}|card|gpu))?",
    ]),
    ("latency", _seconds, [
        rf"(?:\b{_BELOW}|<=?){_ABOUT}{_N}{_SECONDS}{_NOT_SPED}{_EACH}?(?:{_OR_LESS})?",
        rf"{_N}{_SECONDS}{_NOT_SPED}{_EACH}?{_OR_LESS}{_EACH}?",
        rf"\b{_LATENCY}(?: {_WORD}){{0,4}}?(?: of| is|:| =| must be| should be| has to be| target) ?{_N}{_SECONDS}"
        rf"{_NOT_SPED}{_EACH}?",
        rf"\b(?:target|goal|required|limit|latency|budget):? {_N}{_SECONDS}{_EACH}?",
        rf"{_N}{_SECONDS}{_EACH} (?:is|are) (?:the (?:limit|target|goal|maximum|budget)|required|enough|what is asked)",
    ]),
]  # fmt: skip
_PATTERNS = [(what, re.compile(regex), convert) for what, convert, regexes in _LONG_ROWS for regex in regexes]

# --- what is left over ---------------------------------------------------------------------------------------------

_QUANTITY = re.compile(
    rf"(?<![\w.,¤])(?:x\s?)?(?>{NUMBER})\s?-?(?:x\b|×|%|percent\b|per cent\b|times\b|-?fold\b|ms\b|s\b|secs?\b|seco"
    rf"nds?\b|mins?\b|minutes?\b|"
    r"gb\b|gib\b|mb\b|mib\b|fps\b|it/s|images? (?:per|a|/) ?(?:s|second|minute)\b|tflops?\b|hz\b)"
)
_DEMANDING = re.compile(
    r"\b(?:at least|at most|no more than|not more than|no less than|less than|more than|fewer than|under|below|abo"
    r"ve|within|max\w*|"
    r"min(?:imum|imal)?|must|should|shall|needs? to|has to|have to|required?|requirement|target|goal|limit|budget|"
    r"faster|quicker|"
    r"slower|speed\w*|accelerat\w*|latency|throughput|runtime|memory|vram|quality|loss|score|reach|achieve|improve"
    r"\w*|reduc\w*|cut|"
    r"save|shave|halve|double|boost|gain)\b|[<>]"
)
_SLOWER = re.compile(r"¤+ ?(?:slower|longer)\b")  # "2x slower" is no speedup, and is asked for all the same
_CLAUSE = re.compile(r"[.!?;](?=\s|$)|,(?=\s)")


def _unread(left: str, readable: str) -> tuple[str, ...]:
    """Return the clauses of a text with a quantity that nothing has understood, and a word that demands something.

    Args:
        left: the text with what was understood masked, letter by letter.
        readable: the text.
    """
    found, start = [], 0
    for end in (*_CLAUSE.finditer(left), None):
        stop = len(left) if end is None else end.start()
        clause = left[start:stop]
        if _SLOWER.search(clause) or (_QUANTITY.search(clause) and _DEMANDING.search(clause)):
            found.append(readable[start:stop].strip()[:_MAX_QUOTED])
        start = stop if end is None else end.end()
    return tuple(dict.fromkeys(found))[:_MAX_UNREAD]
