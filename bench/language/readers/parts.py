"""Answers with a label: several results next to each other, "First: 3. Second: 5.", and what is none, "Worst: B"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from bench.language.readers.denials import EXCLUDED, LAST_OF_ALL, NOT, UNFIT, WRONG
from bench.language.readers.number_patterns import TOTAL

_LABEL = (
    r"(?<![^\s.;,!?。；，、！？(])(?P<label>[^\s\d|.:：;,!?。；，、！？][^\n|.:：;,!?。；，、！？]{0,40}?)"
)
_END = r"(?=\s*(?:[.;,!?|。；，！？](?![0-9])|\n|\Z)|\s+(?:and|but|while)\b)"
_VALUE = r"(?P<value>[$€£¥]?[-−]?[0-9][0-9,]*(?:\.[0-9]+)?)"
_NUMBER = re.compile(rf"{_LABEL}\s*[:：]\s*{_VALUE}\s?(?:%|[A-Za-z一-鿿]{{0,12}}){_END}")
# "The first is 3, and the second is 5."
_ORDINALS = r"first|second|third|fourth|fifth|1st|2nd|3rd|4th|5th|former|latter"
_IN_ORDER = re.compile(
    rf"(?P<label>\b(?:{_ORDINALS})\b)(?P<between>[^\d\n.:：;!?=]{{0,30}}?)"
    rf"{_VALUE}\s?(?:%|[A-Za-z]{{0,12}}){_END}",
    re.IGNORECASE,
)
_SAYS = re.compile(
    r"\W*|.*\b(?:is|are|was|were|equals|has|have|had|gives?|answer|one)\b\W*", re.IGNORECASE | re.DOTALL
)
# "1. 3 2. 5", "a) 3 b) 5"
_MARK = r"(?:(?<=\s)|^)\(?(?P<label>[0-9]|[a-e])[.)]\s+"
_NUMERAL = re.compile(rf"{_MARK}(?P<value>[-−]?[0-9]+(?:\.[0-9]+)?)(?=[,;.]?\s|[,;.]?\Z)")
_BETWEEN = re.compile(
    r"[\s.;,!。；，、*]*(?:and|but|while|和|而)?[\s,]*(?:(?:the\s+)?(?:answers?|results?|values?|numbers?|solutions?)\s+)?"
    r"(?:(?:in|for|to|of|at|on)\s+)?(?:the\s+)?",
    re.IGNORECASE,
)
_MARK_AFTER = re.compile(r"[^\S\n]*[.;,!。；，]")
_ENUMERATED = re.compile(
    rf"\b(?:{_ORDINALS}|firstly|secondly|thirdly|part|blank|question|sub-?question)\b|第\s?[一二三四五1-5]|[①-⑤]",
    re.IGNORECASE,
)
# Labels of what is the answer.
_ANSWERS = re.compile(
    r"answer|final|choice|choose|pick|select|conclusion|verdict|result|correct|right|best|most|likel|therefore|thus|hence|so\b|option"
    r"|答|选|故|所以|因此|结论|正确|最",
    re.IGNORECASE,
)
# Labels of what is none.
_DENYING = re.compile(
    rf"\b(?:{LAST_OF_ALL}|poorest|weakest|{UNFIT}|improbable|unsuitable|{WRONG}|false|invalid|untrue|mistakes?|{EXCLUDED}"
    rf"|distractors?|avoid|{NOT}|anything\s+but|all\s+but|except|runners?[- ]?up"
    r"|second(?!\s+(?:thoughts?|look|attempt|try|reading|pass)\b)|out\s+of\s+the\s+question)\b|n't\b"
    r"|\A(?:another\s+)?alternative(?:ly)?\Z|最[差坏次弱]|错误|排除|次选|其次|备选|不(?![难妨仅但过久错])",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\b(?:ask\w*|looking\s+for|needs?|wants?|find|identify|which)\b[^.!?\n]*|(?:问|要求|选出|找出|哪)[^。！？\n]*",
    re.IGNORECASE,
)
_LEAST = "最不"
_SUPERLATIVE = r"最(?:不太?)?(?![后终初])[^\W\da-zA-Z的不是为最]{1,4}?"
_OF_THEM = r"的?(?:选项|答案|一项|一个)?(?:应该|应|就)?[是为]"
_REMARK = re.compile(
    rf"\W*(?:(?:the|is|this|most|also|clearly)\s+)*(?:least\s+\w+|{UNFIT}|worst(?:\s+\w+)?|{WRONG}|false"
    r"|eliminated|ruled\s+out|rejected|excluded|最不?\w{1,3}|不(?:正确|对|可能|符合)|错误?|排除)\W*",
    re.IGNORECASE,
)
# What no option says of itself, where the texts of options are not known.
_OF_NO_OPTION = re.compile(
    r"\W*(?:(?:the|is|this)\s+)*(?:least\s+\w+|unlikely|eliminated|ruled\s+out)\W*", re.IGNORECASE
)
_NO_DENIAL = re.compile(
    r"\([^()]*\)|\b(?:true|right|correct|likely)\s*(?:or|/)\s*\w+|\bnot\s+mistaken\b", re.IGNORECASE
)


def are_several_numbers(text: str, *, enumerated: bool = False) -> bool:
    """Return whether a text ends with several numbers in a row, each with a label of its own, and the last one is no total.

    Args:
        text: in plain characters.
        enumerated: whether only labels count that enumerate what is asked, such as "first" and "second".

    Example:
        >>> are_several_numbers("First: 3. Second: 5."), are_several_numbers("Apples: 3. Pears: 5. Total: 8.")
        (True, False)
    """
    for pattern in (_NUMBER, _IN_ORDER, _NUMERAL):
        found = list(pattern.finditer(text))
        if pattern is _IN_ORDER:
            found = [each for each in found if _SAYS.fullmatch(each["between"])]
        last = _last_run(text, found)
        labels = [each["label"].casefold() for each in last]
        if len({each["value"].lstrip("$€£¥") for each in last}) < 2 or len({*labels}) < len(labels):
            continue
        if pattern is _NUMERAL and not _are_consecutive(labels):
            continue
        in_order = sum(_is_enumerated(label) for label in labels) > 1 and _is_enumerated(labels[-1])
        if in_order or (not enumerated and (pattern is not _NUMBER or not TOTAL.search(labels[-1]))):
            return True
    return False


def total_of_parts(text: str) -> str | None:
    """Return the last of several numbers in a row with labels, and its unit, where its label says that it is a total."""
    last = _last_run(text, list(_NUMBER.finditer(text)))
    return text[last[-1].start("value") :] if len(last) > 1 and TOTAL.search(last[-1]["label"]) else None


def _last_run(text: str, found: list[re.Match[str]]) -> list[re.Match[str]]:
    """Return the matches that end a text, with nothing but marks between them."""
    if not found or re.search(r"\w", text[found[-1].end() :]):
        return []
    run = [found[-1]]
    for earlier, later in reversed(list(pairwise(found))):
        if not _BETWEEN.fullmatch(text, earlier.end(), later.start()):
            break
        run.insert(0, earlier)
    return run


def _are_consecutive(labels: list[str]) -> bool:
    signs = list(map(ord, labels))
    return signs[0] in (ord("1"), ord("a")) and all(after == before + 1 for before, after in pairwise(signs))


def without_other_letters(text: str, upper: str, row: Mapping[str, Any], options: Sequence[str]) -> str:
    """Return a text without letters of which a label or remark says that they are no answer, or one of several answers.

    Args:
        text: in plain characters.
        upper: the letters that name options.
        row: that the text answers. What its question asks for, such as the least likely option, is an answer.
        options: their texts, as far as they are known.
    """
    letter = rf"[(\[]?(?<![A-Za-z])[{upper}][)\]]?"
    if _LEAST in text:
        # "最可能的是C，最不可能的是A" says the same as "最可能：C，最不可能：A".
        text = re.sub(rf"({_SUPERLATIVE}){_OF_THEM}(?=\s*{letter}\s*(?:[，,。；;.\n]|\Z))", r"\1：", text)
    found = list(
        re.finditer(
            rf"{_LABEL}\s*[:：]\s*(?P<value>{letter}(?:\s*(?:,|/|&|、|和|\band\b|\bor\b)\s*{letter})*){_END}",
            text,
        )
    )
    asked = _question(row, text)
    are_enumerated = sum(_is_enumerated(each["label"]) for each in found) > 1
    denied = [
        each
        for each in found
        if _denies(each["label"], asked, upper) and not (are_enumerated and _is_enumerated(each["label"]))
    ]
    open_ones = [each for each in found if each not in denied and not _is_the_answer(each["label"])]
    letters = {each["value"].strip("()[]") for each in open_ones}
    labels = {each["label"].casefold() for each in open_ones}
    if len(letters) < 2 or len(labels) < 2:
        open_ones = []
    others = [*_in_order(text, upper), *_denied_lines(text, upper, asked, options)]
    at = len(text)
    for each in sorted([*denied, *open_ones, *others], key=lambda match: -match.start()):
        if each.end() > at:  # a part of one that is out already
            continue
        at = each.start()
        mark = _MARK_AFTER.match(text, each.end())
        before, after = text[:at].rstrip(" ,;，；"), text[mark.end() if mark else each.end() :].lstrip(" ")
        text = f"{before}\n{after}" if before.strip() else after
    return text.strip()


def _denied_lines(text: str, upper: str, asked: str, options: Sequence[str]) -> list[re.Match[str]]:
    """Return lines that only say of an option that it is no answer, as "C: least likely", unless that is its text."""
    texts = {option.strip(" .。").casefold() for option in options}
    return [
        each
        for each in re.finditer(rf"(?m)^[^\S\n]*[(\[]?[{upper}][)\].:：、]+[^\S\n]*(?P<remark>[^\n]+)$", text)
        if (_REMARK if options else _OF_NO_OPTION).fullmatch(each["remark"])
        and _denies(each["remark"], asked, upper)
        and each["remark"].strip(" .。").casefold() not in texts
    ]


def _in_order(text: str, upper: str) -> list[re.Match[str]]:
    """Return letters behind "a)", "b)", which answer several questions."""
    found = list(re.finditer(rf"{_MARK}(?P<value>[{upper}])(?=[,;.]?\s*(?:\(?[b-e][.)]\s|\Z))", text))
    labels = [each["label"] for each in found]
    return found if len({each["value"] for each in found}) > 1 and _are_consecutive(labels) else []


def _is_enumerated(label: str) -> bool:
    return _ENUMERATED.search(label) is not None


def _is_the_answer(label: str) -> bool:
    return _ANSWERS.search(label) is not None and not _is_enumerated(label)


def _denies(label: str, asked: str, upper: str) -> bool:
    label = _NO_DENIAL.sub(" ", label)
    denial = _DENYING.search(label)
    # "After eliminating A: B" denies another one.
    if denial is None or re.search(rf"(?<![A-Za-z])[{upper}](?![A-Za-z])", label[denial.end() :]):
        return False
    return denial[0].casefold() not in asked


def _question(row: Mapping[str, Any], text: str) -> str:
    """Return the texts of a row but for its options, and where a text says what is asked."""
    texts = [
        value for name, value in row.items() if isinstance(value, str) and name not in ("options", "choices")
    ]
    return "\n".join([*texts, *_ASKS.findall(text)]).casefold().replace("at least", "")
