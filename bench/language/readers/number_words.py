"""Reads numbers that are written as words: twelve, one hundred and five, two thirds, 九十八, 三分之一."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from bench.language.readers.chinese_numbers import CHINESE, numbers_in_chinese

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
_PARTS = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4, "third": 3, "thirds": 3} | {
    word + plural: number
    for number, word in enumerate(["fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"], 4)
    for plural in ("", "s")
}
_WORD = rf"(?:{'|'.join([*_SMALL, *_LARGE, 'hundred'])})"
_PART = rf"(?:{'|'.join(_PARTS)})"
_ENGLISH = re.compile(
    rf"(?:\b(?P<minus>negative|minus)\s+)?\b(?P<number>{_WORD}(?:[\s-]+(?:and\s+)?{_WORD})*)\b"
    rf"(?:[\s-]+(?:(?P<part>{_PART})\b|and\s+(?:a|an|(?P<count>one|two|three))[\s-]+(?P<more>{_PART})\b))?",
    re.IGNORECASE,
)
# "No one", "the one on the left" and "one of them" count nothing; "twenty-first", "two dozen" and "three point five" are
# more than the words that are known here.
_NO_NUMBER_BEFORE = re.compile(
    r"\b(?:the|this|that|no|any|every|each|some|which|another|other)\s+$", re.IGNORECASE
)
_NO_NUMBER_AFTER = re.compile(
    r"[\s-]+(?:of|or|to|and|point|dozens?|scores?|times|first|another|hundredths?|thousandths?|plus|minus|over|by)\b|-",
    re.IGNORECASE,
)


def number_in_words(text: str) -> Fraction | None:
    """Return the only number that a text has in words; None if it has none or several, or one that is not clear."""
    values = [*_in_english(text), *numbers_in_chinese(text)]
    return values[0] if len(values) == 1 else None


def whole_number_in_words(text: str) -> Fraction | None:
    """Return the number of a text that is nothing but a number in words and at most one word for what is counted."""
    english = re.fullmatch(rf"\W*{_ENGLISH.pattern}(?:\s+[a-z]+)?\W*", text, re.IGNORECASE)
    chinese = re.fullmatch(rf"\W*{CHINESE.pattern}[一-鿿]{{0,3}}\W*", text)
    return number_in_words(text) if english or chinese else None


def _in_english(text: str) -> Iterator[Fraction | None]:
    """Yield the numbers of a text; None for one that is not clear."""
    for found in _ENGLISH.finditer(text):
        if _NO_NUMBER_BEFORE.search(text[max(0, found.start() - 12) : found.start()]):
            continue
        value = _english(found["number"])
        if value is None or _NO_NUMBER_AFTER.match(text, found.end()):
            yield None
            continue
        number = Fraction(value)
        if found["part"]:
            number /= _PARTS[found["part"].lower()]
        elif found["more"]:
            number += Fraction(_SMALL[(found["count"] or "one").lower()], _PARTS[found["more"].lower()])
        yield -number if found["minus"] else number


def _english(words: str) -> int | None:
    """Return a whole number; None if the words are not one, as in "twenty twenty"."""
    total, part, largest = 0, 0, 10**12
    room = 1000  # what a small number must be less than, after the words before it
    for word in re.split(r"[\s-]+", words.lower()):
        if word == "and":
            continue
        if word == "hundred":
            if part >= 100:
                return None
            part, room = max(part, 1) * 100, 100
        elif word in _LARGE:
            if _LARGE[word] >= largest:
                return None
            largest = _LARGE[word]
            total, part, room = total + max(part, 1) * largest, 0, 1000
        else:
            value = _SMALL[word]
            if value >= room or value == 0 != part:
                return None
            part, room = part + value, 10 if value >= 20 else 1
    return total + part
