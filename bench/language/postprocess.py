"""Post-processors: they extract the answer from a text: an option letter, a number, a line, a word, a boxed text.

A post-processor that finds no answer returns None. The sample then counts as unparsed, and a report shows how many are.
A guess would turn a model that does not answer into one that answers by chance.

A user's file registers its own, under a name for the field ``postprocess`` of a dataset::

    @POSTPROCESSORS.register("last_word")
    def last_word(text, row):
        words = text.split()
        return words[-1] if words else None
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sized
from decimal import Decimal
from typing import Any

from bench.core.registry import Registry

PostProcessor = Callable[[str, Mapping[str, Any]], str | None]
POSTPROCESSORS: Registry[PostProcessor] = Registry(
    "post-processor", "correct `postprocess` of the dataset, or register one of that name"
)
"""Functions of a text and the prepared row that it answers; they return None for a text without an answer."""

# For rows that do not list their options. With more letters, the pronoun I would be taken for an answer.
_DEFAULT_OPTIONS = 8
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def apply_postprocessors(names: Iterable[str], text: str, row: Mapping[str, Any]) -> str | None:
    """Return the text after all post-processors in order, or None as soon as one of them finds no answer.

    Raises:
        KeyError: a name that is not registered, even if an earlier post-processor finds nothing.
        ValueError: from a post-processor that cannot handle the row.
    """
    answer: str | None = text
    for function in [POSTPROCESSORS[name] for name in names]:
        if answer is None:
            return None
        answer = function(answer, row)
    return answer


# --- option letters --------------------------------------------------------------------------------------------

# Letters and digits that continue a word. Chinese characters do not: "答案是B" has no space.
_WORD = "A-Za-z0-9À-ɏ"
_JOINER = "/&+#@_'’-"
# Neither a letter within a word, nor the end of N/A, Q&A, vitamin-C, snake_A or U.S.A, nor "not A".
_BEFORE = (
    rf"(?<![{_WORD}])(?<![{_WORD}][{_JOINER}])(?<!^[A-Za-z]\.)(?<![^A-Za-z][A-Za-z]\.)(?<!\b(?i:not)[ ])"
)
# Nor the start of a word, of A/B, I'd, A-level, C++, C# or A.M.
_AFTER = rf"(?![{_WORD}+#])(?![{_JOINER}][{_WORD}])(?!\.[A-Za-z](?![A-Za-z]))"
# In "A man" the letter is an article, in "I think" a pronoun; in "A because", "A is" and "A and" it is an answer.
_NO_ARTICLE = (
    r"(?![ \t]+(?!(?i:is|was|are|because|since|as|and|or|but|so|which|that|due|would|should|seems|not|in|of|from|to"
    r"|on|by|with|than|the|this|it|according)\b(?!-))\w)"
)
# What may precede a letter: brackets, quotes, Markdown, and LaTeX such as \text{.
_OPEN = r"(?:\\[a-z]+\{|[\s*_`\"'“”‘’(\[{$<>#（【「])"
_CLOSE = r"[^\S\n]|[*_`\"'“”‘’)\]}$<>.:,;：，。）】」\\]"
_SUBJECT = r"(?:\b(?i:answer|choice|option)\b(?:\s+(?i:to|for|of)\s[^.:\n]{1,80}?)?|答案(?:应该|应)?)"
_VERB = (
    r"(?:(?i:is|was|(?:must|should|would|will|could)\s+be)\b"
    r"(?:\s+(?i:most\s+likely|likely|probably|therefore|thus|clearly|definitely|indeed)\b)?\s*[:：]?"
    r"|[:：=]|[-–—]|[是为选][:：]?)"
)
_ANOTHER_QUESTION = re.compile(r"\n[^\S\n]*(?:Question|Q|问题)[^\S\n]*[0-9]*[^\S\n]*[:：]")
_PRAISE = r"(?:(?:most|only|single|likely|correct|right|best|accurate|appropriate|plausible)\s+){0,3}"


@POSTPROCESSORS.register("first_option")
def first_option(text: str, row: Mapping[str, Any]) -> str | None:
    """Return the letter of the option that the text names, upper-case, or None if it names none.

    ``A``, ``(B)``, ``**B**``, ``C.``, ``b)``, ``Option C``, ``Answer: D``, ``\\boxed{A}`` and ``答案是B`` are
    understood. Of several letters, the first of these decides:

    1. one that is alone on the first line;
    2. the last statement such as "the answer is C", "\\boxed{C}" or "C is the correct answer";
    3. the first letter that is a word, but not an article, a pronoun, part of a name or negated.

    Text after a new "Question:" counts only if nothing before it names an option: a base model continues with questions
    of its own and answers them. A stop string in ``Generation.stop`` ends the text before that.

    Only letters of the row's options count: as many as its field ``options``, else ``choices``, has; A to H if it has
    neither.

    Raises:
        ValueError: a row with more options than there are letters.
    """
    count = _option_count(row)
    another = _ANOTHER_QUESTION.search(text)
    own = _named_option(text[: another.start()], count) if another else None
    return own or _named_option(text, count)


def _named_option(text: str, count: int) -> str | None:
    """Return the letter that the rules of `first_option` find, among the first `count`."""
    alone, statement, standalone = _option_patterns(count)
    found = alone.match(text) or _last(statement, text) or standalone.search(text)
    return None if found is None or found.lastindex is None else found[found.lastindex].upper()


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(reversed(list(pattern.finditer(text))), None)


def _option_count(row: Mapping[str, Any]) -> int:
    """Return how many options a row has."""
    options = row.get("options") or row.get("choices")
    # {"text": [...], "label": [...]} as in ARC, or {"A": ..., "B": ...} as in MedQA.
    if isinstance(options, Mapping) and isinstance(
        values := next(iter(options.values()), None), list | tuple
    ):
        options = values
    if isinstance(options, str) or not isinstance(options, Sized) or not options:
        return _DEFAULT_OPTIONS
    if len(options) > len(_ALPHABET):
        raise ValueError(
            f"found {len(options)} options in a row, expected at most {len(_ALPHABET)}, one for each letter; "
            "use another post-processor than first_option"
        )
    return len(options)


@functools.cache
def _option_patterns(count: int) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Return the patterns of a letter alone, of a statement, and of any letter; the letter is a group of each."""
    upper = _ALPHABET[:count]
    both = upper + upper.lower()

    def letter(of: str) -> str:
        return rf"([{of}]){_AFTER}(?:(?<![AIai])|{_NO_ARTICLE})"

    alone = rf"\s*{_OPEN}{{0,6}}([{both}])(?:{_CLOSE}){{0,12}}(?:\n|\Z)"
    statements = (
        rf"{_SUBJECT}{_OPEN}{{0,6}}{_VERB}{_OPEN}{{0,12}}(?:(?i:option|choice|letter)\b\s*[:：]?{_OPEN}{{0,6}})?"
        + letter(both),
        rf"\\boxed\s*\{{{_OPEN}{{0,6}}{letter(both)}",
        rf"{_BEFORE}([{upper}])(?:{_CLOSE}){{0,6}}\s*\bis\s+(?:the\s+)?{_PRAISE}(?:answer|option|choice)\b",
    )
    standalone = (
        _BEFORE + letter(upper),
        # A lower-case letter is usually a word; brackets, bold type or its place show that it is an option.
        rf"(?<![{_WORD}])[(\[]([{upper.lower()}])[)\]]",
        rf"(?<![{_WORD}(\[])([{upper.lower()}])\)",
        rf"\*\*([{upper.lower()}])\*\*",
        rf"(?m:^)[ \t]*([{upper.lower()}])\.(?=\s|\Z)",
        rf"\b(?i:option|choice|answer)\s{_OPEN}{{0,6}}" + letter(upper.lower()),
    )
    return re.compile(alone), re.compile("|".join(statements)), re.compile("|".join(standalone))


# --- numbers ---------------------------------------------------------------------------------------------------

_NUMBER = re.compile(
    # The 5 of "10-5" is not negative. The 2 of H2O and the 3 of version 1.2.3 are not numbers; the 5 of Rs.5 is one.
    r"(?<![A-Za-z0-9])(?<![0-9]\.)"
    r"(?:(?<![)\]])(?P<sign>[-−–]))?[$€£¥]?"
    r"(?P<digits>[0-9]{1,3}(?:(?:,|\{,\})[0-9]{3})+(?![0-9])|[0-9]{1,3}(?:[ \u00a0\u202f][0-9]{3})+(?![0-9])"
    r"|[0-9]+|(?=\.[0-9]))"
    r"(?P<fraction>\.[0-9]+)?"
    # At most two digits: with a longer exponent the plain number would be a text of any length.
    r"(?P<exponent>[eE][+-]?[0-9]{1,2}(?![0-9A-Za-z]))?"
)


@POSTPROCESSORS.register("first_number")
def first_number(text: str, row: Mapping[str, Any]) -> str | None:
    """Return the first number of the text in plain digits, or None. See ``last_number`` for its form."""
    found = _NUMBER.search(text)
    return None if found is None else _plain(found)


@POSTPROCESSORS.register("last_number")
def last_number(text: str, row: Mapping[str, Any]) -> str | None:
    """Return the last number of the text in plain digits, such as "1234.5", "-3" or "72", or None.

    Thousands may be separated by a comma or a space ("1,234", "1 234.5"); two numbers such as "100 200" are therefore
    read as one. A point starts the decimals, and trailing zeros are dropped ("72.50" is "72.5"). Currency signs and the
    percent sign are ignored. A fraction, "3/4", is two numbers.
    """
    found = _last(_NUMBER, text)
    return None if found is None else _plain(found)


def _plain(number: re.Match[str]) -> str:
    """Return a number without separators, exponent or trailing zeros, exact to its last digit."""
    digits = re.sub(r"[^0-9]", "", number["digits"])
    value = format(Decimal(f"{digits or '0'}{number['fraction'] or ''}{number['exponent'] or ''}"), "f")
    if "." in value:
        value = value.rstrip("0").rstrip(".")
    return f"-{value}" if number["sign"] and value != "0" else value


# --- parts of the text -----------------------------------------------------------------------------------------


@POSTPROCESSORS.register("first_line")
def first_line(text: str, row: Mapping[str, Any]) -> str | None:
    """Return the first line that is not blank, stripped, or None."""
    return next((line.strip() for line in text.splitlines() if line.strip()), None)


@POSTPROCESSORS.register("first_word")
def first_word(text: str, row: Mapping[str, Any]) -> str | None:
    """Return the first run of letters and digits, including apostrophes and hyphens within it, or None."""
    found = re.search(r"[^\W_]+(?:['’-][^\W_]+)*", text)
    return None if found is None else found[0]


@POSTPROCESSORS.register("boxed")
def boxed(text: str, row: Mapping[str, Any]) -> str | None:
    """Return the content of the last ``\\boxed{...}`` whose braces balance, or None if it is empty or absent."""
    last = (-1, "")
    open_braces: list[int] = []  # where the text of a box begins; -1 for any other brace
    # An escaped brace belongs to the formula, not to LaTeX.
    for found in re.finditer(r"(\\boxed\s*\{)|\\.|[{}]", text, flags=re.DOTALL):
        if found[1] or found[0] == "{":
            open_braces.append(found.end() if found[1] else -1)
        elif found[0] == "}" and open_braces and (start := open_braces.pop()) >= 0:
            last = max(last, (start, text[start : found.start()].strip()))
    return last[1] or None


@POSTPROCESSORS.register("strip")
def strip(text: str, row: Mapping[str, Any]) -> str | None:
    """Return the text without the blanks around it."""
    return text.strip()


@POSTPROCESSORS.register("lower")
def lower(text: str, row: Mapping[str, Any]) -> str | None:
    """Return the text in lower case."""
    return text.lower()
