"""Reads numbers that are written in Chinese signs: 九十八, 两万五千, 三分之一."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

_DIGITS = {digit: number for number, digit in enumerate("零一二三四五六七八九")} | {"两": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_LARGE_UNITS = {"万": 10**4, "亿": 10**8}
# Longer rows of digits are no number that anyone meant.
_MOST_DIGITS = 20
CHINESE = re.compile(r"(?P<minus>负|零下)?(?P<number>[零一二三四五六七八九十百千两万亿]+)")
_COUNTED = "个只支本元角分块米天人次页岁件张条辆棵台袋盒瓶斤克吨年月周种位名把间"
# The sign for one is a part of many words: the same, certainly, together.
_ONE_AFTER = re.compile(rf"[{_COUNTED}]?(?![\w])|小时|分钟|千克|公斤|厘米|千米")
_NO_CHINESE_BEFORE = re.compile(r"[第点.0-9]$")
_NO_CHINESE_AFTER = re.compile(r"点|分之|半|[0-9.]|[到至或～~-]")


def numbers_in_chinese(text: str) -> Iterator[Fraction | None]:
    """Yield the numbers of a text; None for one that is not clear, as "三四" (three or four)."""
    at = 0
    for found in CHINESE.finditer(text):
        if found.start() < at:
            continue
        value, after = _chinese(found["number"]), found.end()
        below = re.compile(r"分之([零一二三四五六七八九十百千两]+)").match(text, after)
        if below is not None and value:
            at, above = below.end(), _chinese(below[1])
            number = None if above is None else Fraction(above, value)
        elif found["number"] == "一" and not _ONE_AFTER.match(text, after):
            continue
        else:
            unclear = _NO_CHINESE_AFTER.match(text, after)
            number = None if value is None or unclear else Fraction(value)
        if _NO_CHINESE_BEFORE.search(text[max(0, found.start() - 1) : found.start()]):
            number = None
        yield -number if number is not None and found["minus"] else number


def _chinese(signs: str) -> int | None:
    """Return a whole number; None if the signs are not one, as in "三四" (three or four)."""
    if 2 < len(signs) <= _MOST_DIGITS and all(sign in _DIGITS for sign in signs):
        return int("".join(str(_DIGITS[sign]) for sign in signs))
    total, section, digit = 0, 0, 0
    for before, sign in zip(" " + signs, signs, strict=False):
        if sign in _LARGE_UNITS:
            total, section, digit = (total + section + digit) * _LARGE_UNITS[sign], 0, 0
        elif sign in _UNITS:
            section, digit = section + max(digit, 1) * _UNITS[sign], 0
        elif before in _DIGITS and before != "零":
            return None
        else:
            digit = _DIGITS[sign]
    return total + section + digit
