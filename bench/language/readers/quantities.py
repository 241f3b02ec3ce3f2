"""Finds the numbers of a text, however they are written: 1,234.5, −8, 3/4, 2 1/2, \\frac{1}{2}, 1.2 million, 3万."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from fractions import Fraction

from bench.language.readers.text import plain_characters, without_fonts

_VULGAR = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5", "⅘": "4/5",
    "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8",
}  # fmt: skip
_SCALES = {
    "hundred": 100, "百": 100,
    "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "千": 10**3, "万": 10**4, "百万": 10**6,
    "千万": 10**7, "k": 10**3, "K": 10**3, "亿": 10**8,
}  # fmt: skip
# Longer numbers are written out only by mistake.
_MOST_DIGITS = 300
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
# "18 cm^2": the power belongs to the unit.
_UNIT_POWER = re.compile(
    r"(?<=[0-9])([^\S\n]*(?:[a-z]{1,6}/)?(?:mm|cm|dm|m|km|in|ft|yd|mi|units?|s|sec|inch(?:es)?|feet|meters?|metres?))"
    r"\s*\^\s*\{?-?[1-3]\}?(?![0-9])"
)
# "minus 7", "负7": not what is taken from something.
_MINUS_IN_WORDS = re.compile(
    r"(?:\bnegative\s+|(?:(?m:^)|(?<=[:=(,*])|\b(?:is|be|was|equals|to|gives|answer))([^\S\n]*)\bminus\s+|(?:负|零下)\s?)(?=[$€£¥]?[0-9])",
    re.IGNORECASE,
)
_CHANCE = re.compile(r"\b(?:probability|chances?|odds|likelihood)\b[^.\n]*$", re.IGNORECASE)
_PLAIN_PART = r"\s*([0-9][0-9,]*(?:\.[0-9]+)?)\s*"
_NUMBER = re.compile(
    # The 5 of "10-5" is not negative. The 2 of H2O and the 3 of version 1.2.3 are not numbers; the 5 of Rs.5 is one.
    r"(?<![A-Za-z0-9_])(?<![0-9]\.)"
    r"(?:(?<![)\]}0-9%])(?P<sign>[-−–﹣—](?=[$€£¥₹]?[0-9.])|(?<=[=:]\s)[-−–]\s(?=[0-9.])))?"
    r"[$€£¥₹]?[ ]?(?:(?<=[$€£¥₹])(?P<inner>[-−–]))?"
    r"(?:(?P<european>[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+(?![0-9,.]?[0-9]))"
    r"|(?P<digits>[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]{1,3}(?:[ ][0-9]{3})+(?![0-9])|[0-9]+|(?=\.[0-9]))"
    r"(?P<decimals>\.[0-9]+)?"
    r"(?:(?P<exponent>[eE][+-]?[0-9]{1,2}(?![0-9A-Za-z]))|\s?[×x*]\s?10\s?\^\s?\{?(?P<power>[-−]?[0-9]{1,2})\}?(?![0-9]))?)"
    r"(?:(?:(?<=[0-9])|(?<=\s))\s?(?P<fraction>(?<=\s)[0-9]+/[0-9]+|(?<=[0-9])\s?/\s?[0-9]+(?:\.[0-9]+)?)(?![0-9]))?"
    r"(?:\s?(?P<scale>hundred(?!ths?)|thousand(?!ths?)|million|billion|trillion|百万|千万|百|万|亿|千(?![克米瓦])|(?<=[0-9])[kK](?![A-Za-z])))?"
)


@dataclass(frozen=True)
class Quantity:
    """A number of a text.

    Attributes:
        value: exact; None for what looks like a number but may mean several, such as 3,5 or 12:30.
        start, end: where it stands.
        bold: whether it is in bold type.
    """

    value: Fraction | None
    start: int
    end: int
    bold: bool = False


def plain_formulas(text: str) -> str:
    r"""Return the text with LaTeX's numbers in plain characters: ``\dfrac{3}{8}`` is ``3/8``. Bold keeps its ``**``."""
    text = plain_characters(text)
    for sign, plain in _VULGAR.items():
        if sign in text:
            text = re.sub(rf"(?<=[0-9])\s*{sign}", f" {plain}", text).replace(sign, plain)
    text = re.sub(r"\\(?:left|right|displaystyle|quad|qquad|[!])", "", text)
    text = re.sub(r"\{,\}", ",", text)
    text = re.sub(r"__([^_\n]+)__", r"**\1**", text)
    text = re.sub(
        r"([×x*·]\s?10)([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)",
        lambda found: f"{found[1]}^{found[2].translate(_SUPERSCRIPTS)}",
        text,
    )
    text = re.sub(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-z]))", "°", text)
    text = _MINUS_IN_WORDS.sub(lambda found: f"{found[1] or ''}-", text)
    text = text.replace("\\$", "$").replace("\\%", "%").replace("\\#", "#")
    text = re.sub(r"(?<=[0-9])\\[,;](?=[0-9]{3})", ",", text)
    text = re.sub(r"\\[,;: ]|\\[()\[\]]", " ", text)
    text = re.sub(rf"(?<=[0-9])\s*\\[dtc]?frac\s*\{{{_PLAIN_PART}\}}\s*\{{{_PLAIN_PART}\}}", r" \1/\2 ", text)
    text = re.sub(rf"\\[dtc]?frac\s*\{{{_PLAIN_PART}\}}\s*\{{{_PLAIN_PART}\}}", r" \1/\2 ", text)
    text = re.sub(r"\\[dtc]?frac\s*([0-9])\s*([0-9])(?![0-9])", r" \1/\2 ", text)
    text = re.sub(r"\\(?:times|cdot)(?![a-z])", "×", text)
    text = re.sub(r"\\approx(?![a-z])", "≈", text)
    text = re.sub(r"([-−–])\s+(?=[0-9]+/[0-9])", r"\1", text)
    return _UNIT_POWER.sub(r"\1", without_fonts(text))


# The same sentence is looked at by several rules, one after the other.
@functools.lru_cache(maxsize=8)
def quantities(text: str) -> tuple[Quantity, ...]:
    """Return the numbers of a text in plain characters, in order."""
    bold = [match.span() for match in re.finditer(r"\*\*[^*\n]+\*\*|__[^_\n]+__", text)]
    found: list[Quantity] = []
    at = 0
    for match in _NUMBER.finditer(text):
        while at < len(bold) and bold[at][1] < match.start():
            at += 1
        inside = at < len(bold) and bold[at][0] < match.start()
        end = len(match[0].rstrip()) + match.start()
        found.append(
            Quantity(None if _is_unclear(text, match) else _value(match), match.start(), end, inside)
        )
    return tuple(found)


def written(value: Fraction) -> str:
    """Return a number in plain digits, such as ``1234.5``, ``-3`` or ``72``; ``1/3`` where its decimals never end."""
    sign, value = ("-" if value < 0 else ""), abs(value)
    left = value.denominator
    twos = fives = 0
    while left % 2 == 0:
        left, twos = left // 2, twos + 1
    while left % 5 == 0:
        left, fives = left // 5, fives + 1
    if left != 1:
        return f"{sign}{value.numerator}/{value.denominator}"
    places = max(twos, fives)
    digits = str(value.numerator * 10**places // value.denominator).rjust(places + 1, "0")
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


def _value(match: re.Match[str]) -> Fraction | None:
    if len(match[0]) > _MOST_DIGITS:  # a model that repeats a digit
        return None
    if match["european"]:
        whole, _, rest = match["european"].partition(",")
        value = Fraction(f"{whole.replace('.', '')}.{rest}")
    else:
        digits = re.sub(r"[^0-9]", "", match["digits"])
        value = Fraction(f"{digits or '0'}{match['decimals'] or ''}")
        power = match["exponent"][1:] if match["exponent"] else match["power"]
        if power:
            value *= Fraction(10) ** int(power.replace("−", "-"))
    fraction = (match["fraction"] or "").strip()
    if fraction:
        above, _, below = fraction.rpartition("/")
        if not Fraction(below):
            return None
        value = value + Fraction(int(above), int(below)) if above.strip() else value / Fraction(below.strip())
    if match["scale"]:
        value *= _SCALES.get(match["scale"], 1)
    return -value if match["sign"] or match["inner"] else value


def _is_unclear(text: str, match: re.Match[str]) -> bool:
    """Return whether what was found is a part of something else: a date, a clock, a version, a power, a list, a range."""
    before, after = text[max(0, match.start() - 6) : match.start()], text[match.end() : match.end() + 6]
    if re.match(r"[,.:/][0-9]|\^|:[0-9]|-[0-9]|[-–—][0-9]", after):
        return True
    if re.search(r"[0-9][,.:/\-–—]$|\^\{?$|√$|sqrt\{?$", before) or re.match(
        r"\s?(?:π|√|\\pi|\\sqrt)", after
    ):
        return True
    # "2h30m" has two units; "3 tenths" is no 3.
    if re.match(r"[A-Za-z]{1,3}[0-9]", after) and not re.match(r"[ck]?m[23](?![0-9])", after):
        return True
    if re.match(
        r"\s?(?:halves|thirds|fourths|fifths|tenths|hundredths|thousandths)\b",
        text[match.end() : match.end() + 14],
    ):
        return True
    # A chance of "1 in 6" is no 1.
    if re.match(r"\s+(?:in|out\s+of)\s+[0-9]", text[match.end() : match.end() + 16]) and _CHANCE.search(
        text[max(0, match.start() - 60) : match.start()]
    ):
        return True
    return bool(re.match(r"[A-Za-z_]", after)) and not re.match(
        r"(?:st|nd|rd|th|h|m(?!n)|s|g|k|c|l|p|d|w|[CFL](?![a-z]))", after
    )
