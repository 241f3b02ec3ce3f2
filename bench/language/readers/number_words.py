"""Reads numbers that are written as words: twelve, one hundred and five, 九十八."""

from __future__ import annotations

import re

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL = {word: number for number, word in enumerate(_ONES)} | {
    word: 10 * number for number, word in enumerate(_TENS, 2)
}
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_DIGITS = {digit: number for number, digit in enumerate("零一二三四五六七八九")} | {"两": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_ENGLISH = re.compile(
    rf"\b(?:{'|'.join([*_SMALL, *_LARGE, 'hundred'])})(?:[\s-]+(?:and\s+)?(?:{'|'.join([*_SMALL, *_LARGE, 'hundred'])}))*\b",
    re.IGNORECASE,
)
_CHINESE = re.compile(r"[零一二三四五六七八九十百千两万]+")


def number_in_words(text: str) -> int | None:
    """Return the only number that a text has in words; None if it has none or several."""
    values = [_english(match[0]) for match in _ENGLISH.finditer(text)]
    values += [_chinese(match[0]) for match in _CHINESE.finditer(text)]
    return values[0] if len(values) == 1 else None


def whole_number_in_words(text: str) -> int | None:
    """Return the number of a text that is nothing but a number in words and at most one word for what is counted."""
    found = re.fullmatch(rf"\W*(?P<number>{_ENGLISH.pattern})(?:\s+[a-z]+)?\W*", text.strip(), re.IGNORECASE)
    return None if found is None else number_in_words(found["number"])


def _english(words: str) -> int | None:
    total, part = 0, 0
    for word in re.split(r"[\s-]+", words.lower()):
        if word == "hundred":
            part = max(part, 1) * 100
        elif word in _LARGE:
            total, part = total + max(part, 1) * _LARGE[word], 0
        elif word != "and":
            part += _SMALL[word]
    return total + part


def _chinese(words: str) -> int | None:
    total, part, digit = 0, 0, 0
    for sign in words:
        if sign == "万":
            total, part, digit = (total + part + digit) * 10_000, 0, 0
        elif sign in _UNITS:
            part, digit = part + max(digit, 1) * _UNITS[sign], 0
        else:
            digit = _DIGITS[sign]
    return total + part + digit
