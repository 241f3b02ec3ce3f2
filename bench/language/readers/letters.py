"""Reads the option letter that an answer names. A text that names none, or leaves several open, is not read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any

from bench.language.readers.denials import CHINESE_NOT, EXCLUDED, LAST_OF_ALL, NOT, UNFIT, WRONG
from bench.language.readers.letter_patterns import ALPHABET, BREAKING_OFF, Level, Patterns, patterns
from bench.language.readers.parts import without_other_letters
from bench.language.readers.phrases import any_of
from bench.language.readers.text import last_box, own_part, plain_characters, without_fonts

# For rows that do not list their options. With more letters, the pronoun I would be taken for an answer.
_DEFAULT_OPTIONS = 8
# Characters looked back at for what turns a statement around.
_BEFORE = 70

_CLAUSE = re.compile(r"[.!?;:,\n。！？；，：、]|\b(?:but|however|though)\b|但", re.IGNORECASE)
_TURNING = any_of(
    f"{NOT} | without | if | unless | suppose | supposing | assuming | were | rather than"
    "| instead of | some | many | people | students | others | seems that | seems like | tempting | tempted | might think"
    "| may think | at first | initially | originally | first thought | previously | false"
    f"| {WRONG} | {LAST_OF_ALL} | question | whether | not sure | cannot tell | unclear"
)
_TURNED = re.compile(
    rf"\b{_TURNING}\b|n't\b|(?:{CHINESE_NOT}|如果|若|假如|错误的?|误|无法|是否|不知道)", re.IGNORECASE
)
# "Consider each choice: A ..." names no answer.
_OF_ALL = re.compile(
    r"\b(?:(?:each|every|following|another|any|no|which|what)[^\S\n]+$|(?:none|neither)\s+of\b[^.!?\n]*$)",
    re.IGNORECASE,
)
_JUST_SAID = re.compile(r"\bif\s+(?:I|we)\s+(?:have|had|must|should)\s+(?:to\s+)?\w+", re.IGNORECASE)
# "C if the lamp is off" says nothing of a lamp that is on; "C, if I am not mistaken" does.
_CONDITION_AFTER = re.compile(
    r"[)\]\"'*]*\s*,?\s*(?:but\s+)?(?:only\s+)?(?:if|unless|provided|assuming|in\s+case|as\s+long\s+as|were|had"
    r"|only\s+(?:for|when|in))\b"
    r"(?!\s+(?:I|you\s+ask|we\s+(?:have|must|had)|anything|pressed|forced))",
    re.IGNORECASE,
)
# Options that an answer may begin with as words: "Yes, since the door was open".
_WORDS_OF_JUDGEMENT = {"yes", "no", "true", "false", "maybe", "unknown", "correct", "incorrect"}
_CORRECTED = re.compile(
    r"\b(?:wait|actually|correction|no,|sorry|oops|scratch that|on second thought|hold on|my mistake|let me correct)"
    r"|不对|更正|等等|纠正|重新",
    re.IGNORECASE,
)
_AGAINST = re.compile(
    rf"\b(?:{NOT}|no|{WRONG}|false|contradict\w*|{UNFIT}|irrelevant|unrelated|{LAST_OF_ALL}|mistake|{EXCLUDED}|elimination"
    r"|fails?|distractors?|out|too|off|unsupported|about someone else|doesn't|lacks?|rejection|ignores?|misses|missing|less"
    r"|misconception|trap|red herring|myth)\b"
    r"|n't\b|[×✗❌✘]|错|不|误|无关|排除|没有|非|太(?![阳空平])",
    re.IGNORECASE,
)
_AGAINST_BEFORE = re.compile(
    r"(?:\b(?:(?:\w+n't|cannot|can\s+not)(?:\s+be)?|not\s+be|no\s+es|n'est\s+pas|nicht|non\s+è|não\s+é"
    rf"|{NOT}|rather than|instead of|unlike|except(?: for)?|{EXCLUDED}|drop(?:ped)?|remov(?:e|ed|ing)|against|avoid"
    r"|(?:anything|everything|all) but)|不是|不选|排除(?:了|掉)?|而非|非|除了|去掉)"
    r"\s*(?:both |either |options? |choices? |选项)?$",
    re.IGNORECASE,
)
_EXCLUDED_AT_END = re.compile(
    rf"\b(?:{EXCLUDED})\s*$|\A[)\]]?\s*(?:is|was|are)\s+(?:{NOT})\s*$", re.IGNORECASE
)
_DENIED = re.compile(
    rf"\b(?:{NOT}|without|nobody|no one|{LAST_OF_ALL}|{WRONG}|everything except|all except)\b|n't\b|{CHINESE_NOT}",
    re.IGNORECASE,
)
# What denies a conclusion after it: "only C is wrong".
_DENIED_AFTER = re.compile(
    r"[)\].]?\s*(?:(?:is|was|are|seems|looks|sounds|appears|的|选项|项|是)\s*)*(?:(?:the|only|clearly|also)\s+)*"
    rf"(?:not\b|{WRONG}|false|untrue|n't|不|错)",
    re.IGNORECASE,
)
# "Plan B" and "vitamin C" are names; in "if B" nothing is said.
_NAMED = re.compile(
    r"\b(?:plan|vitamins?|hepatitis|grade|class|type|group|team|point|part|section|room|appendix|figure|fig|table|line|note"
    r"|key|string|drive|planet|company|person|size|gate|platform|block|unit|mr|ms|side|angle|vertex|edge|corner|set|event|matrix"
    r"|gene|allele|protein|enzyme|molecule|compound|element|atom|substance|reaction|solution|sample|circuit|city|town|village"
    r"|country|house|shop|store|firm|product|machine|car|train|tank|box|bag|worker|student|player|patient|man|woman|variable"
    r"|let|at|from|through|near|along)\.?\s+\(?$",
    re.IGNORECASE,
)
# "A = 5" and "B implies C" are mathematics.
_SAID_IN_WORDS = re.compile(
    r"\banswers?(?:\s+(?:is|must\s+be|would\s+be|should\s+be))?\s*[:：]?\s+|\A(?:it|this|that)(?:'s|\s+(?:is|must\s+be))\s+"
    r"|答案(?:是|为|[:：])\s*",
    re.IGNORECASE,
)
_RELATION = r"implies|equals|exceeds|plus|minus|times"
_IN_FORMULA = re.compile(rf"\s*(?:[+*/^∩∪∧∨≤≥]|=(?!>)|(?<=\s)[<>]|(?:{_RELATION})\b)")
_AFTER_FORMULA = re.compile(rf"(?:[+*/^∩∪∧∨≤≥]|(?<=[\sA-Z])[<>]|[)0-9a-z]\s?=|\b[A-Z]\s+(?:{_RELATION}))\s*$")
_SUPPOSED = re.compile(
    r"(?:\b(?:if|suppose|supposing|assuming|unless)\b|如果|假如)[^.!?。！？\n]*$", re.IGNORECASE
)
_OPEN_BEFORE = re.compile(
    r"(?:\b(?:between|either|both|whether|among)|在|之间)\s*(?:options? |选项)?$", re.IGNORECASE
)
_JOIN = re.compile(
    r"[)\].]*\s*(?:,\s*(?:and|or)?|/|\bor\b|\band\b|&|、|和|或|与|及|还是)\s*(?:options? |选项)?[(\[]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Statement:
    """A place where the text says which option it is; the letter is None where it leaves several open."""

    start: int
    end: int
    level: Level
    letter: str | None
    restarts: bool


def first_option(text: str, row: Mapping[str, Any], cut: bool = False) -> str | None:
    r"""Return the letter of the option that the text names, upper-case, or None if it names none or several.

    ``A``, ``(B)``, ``**B**``, ``C.``, ``b)``, ``Option C``, ``Answer: D``, ``\boxed{A}``, ``I'd go with B``, ``only D
    fits`` and ``故选C`` are understood. In this order:

    1. a letter that is alone on the first line;
    2. the last statement of an answer, such as "the answer is C", "I choose C" or "\boxed{C}";
    3. a letter alone on the last line; the last conclusion, such as "so C", "only C" or "it must be C";
    4. the only letter that is called right, or that is named at all and not argued against;
    5. the option whose text is the whole answer.

    What is asked, supposed, denied or said of others is no statement. Text after a new "Question:" counts only if nothing
    before it names an option. Of a text that was cut at its limit, only 1 and 2 are read.

    Only letters of the row's options count: as many as its field ``options``, else ``choices``, has; A to H if it has
    neither.

    Raises:
        ValueError: a row with more options than there are letters.
    """
    own = own_part(text)
    return (_read(own, row, cut) if own is not None else None) or _read(text, row, cut)


def plain_letter(gold: str) -> str | None:
    """Return a right answer as the reader returns answers, if all of it is a letter: ``(b)`` is ``B``."""
    found = re.fullmatch(r"\s*[(\[]?([A-Za-z])[)\].:]?\s*", plain_characters(gold))
    return found[1].upper() if found else None


def _read(text: str, row: Mapping[str, Any], cut: bool) -> str | None:
    count, options = _option_count(row), _texts(row)
    found = patterns(count)
    text = without_other_letters(_clean(text), ALPHABET[:count], row, options)
    numbered = list(found.numbered.finditer(text))
    if len({match[1].upper() for match in numbered}) > 1:
        if cut:
            return None
        text = text[numbered[-1].end() :]
    first = found.alone_first.match(text)
    if first is not None and not _CORRECTED.search(text, first.end()):
        return str(first[1]).upper()
    statements = _statements(text, found)
    said = [statement for statement in statements if statement.level is Level.ANSWER]
    label = _label_paragraph(text, found)
    if label and all(statement.restarts for statement in said):
        return label
    if said:
        return _last(text, said, statements)
    return None if cut else _concluded(text, found, statements) or _by_text(text, options)


def _last(text: str, said: Sequence[_Statement], statements: Sequence[_Statement]) -> str | None:
    """Return the last answer that is stated, or what corrects it."""
    end = said[-1].end
    later = [
        each
        for each in statements
        if each.start > end and each.level is not Level.PRAISE and _CORRECTED.search(text, end, each.end)
    ]
    return (later or said)[-1].letter


def _concluded(text: str, found: Patterns, statements: Sequence[_Statement]) -> str | None:
    """Return the letter of the last line, else of the last conclusion, else the only one that is praised or mentioned."""
    last = found.alone_last.search(text)
    if last is not None and not _OPEN_BEFORE.search(text[: last.start(1)]):
        return str(last[1]).upper()
    concluded = [statement for statement in statements if statement.level is Level.CONCLUSION]
    if concluded:
        return concluded[-1].letter
    praised = {statement.letter for statement in statements if statement.level is Level.PRAISE}
    if praised:
        return praised.pop() if len(praised) == 1 else None
    return _only_mention(text, found)


def _clean(text: str) -> str:
    """Return the text without markup that may surround a letter."""
    text = without_fonts(plain_characters(text))
    text = re.sub(r"\\[()\[\]]|\$+|\\[,;! ]|[*`\"“”‘#~]+", " ", text)
    text = re.sub(r"(?<![A-Za-z0-9])'(?=\(?[A-Za-z]\)?')|(?<=[A-Za-z)])'(?![A-Za-z0-9])", " ", text)
    text = re.sub(r"(?<![A-Za-z0-9])_+|_+(?![A-Za-z0-9])|(?m:^)[^\S\n]*(?:[-–•>][^\S\n]+)+", " ", text)
    text = re.sub(r"</?(?:answer|b|strong|i|em|p|br)\s*/?>", "\n", text, flags=re.IGNORECASE)
    return re.sub(r"[^\S\n]+", " ", text).strip()


def _statements(text: str, found: Patterns) -> list[_Statement]:
    statements = []
    # "A: because it is warm. B: because it is cold." gives a reason for each option, and no answer.
    reasons = len({letter for letter, mark in _listed(text, found) if mark == ":"}) > 1
    for level, pattern in found.statements:
        for match in pattern.finditer(text):
            group = match.lastindex
            if group is None or _is_turned(text, match.start(), match.end(group)):
                continue
            if reasons and match.start() == 0 and match.end(group) == 1 and text[1:2] == ":":
                continue
            if level is not Level.ANSWER and _DENIED_AFTER.match(text, match.end(group)):
                continue
            letter: str | None = match[group].upper()
            if found.another.match(text, match.end(group)):
                if level is not Level.ANSWER:
                    continue
                letter = None
            before = text[max(0, match.start() - _BEFORE) : match.start()].rpartition("\n")[2]
            restarts = not before.strip() and match[0].lower().startswith("answer")
            statements.append(_Statement(match.start(), match.end(group), level, letter, restarts))
    # A statement within another one, as "it is B" in "so it is B", counts once, as the stronger one.
    return sorted(statements, key=lambda statement: (statement.end, statement.level))


def _is_turned(text: str, start: int, end: int) -> bool:
    """Return whether a statement is asked, supposed, denied or said of others."""
    before = _JUST_SAID.sub("", text[max(0, start - _BEFORE) : start])
    clause = _clause_before(before)
    inner = text[start:end]
    follows = re.match(r"\W*(?:so|thus|hence|therefore|故|因此|所以)", inner, re.IGNORECASE)
    if _TURNED.search(clause) or (not follows and (_OF_ALL.search(before) or _SUPPOSED.search(before))):
        return True
    if re.search(r"\b(?:not|never|isn't|wasn't|cannot)\b|n't\b|不|非", inner, re.IGNORECASE):
        return True
    if _CONDITION_AFTER.match(text, end):
        return True
    ending = re.compile(r"[.!。！\n;；]|([?？])").search(text, end, end + 120)
    return ending is not None and ending[1] is not None


def _clause_before(before: str) -> str:
    boundaries = list(_CLAUSE.finditer(before))
    return before[boundaries[-1].end() :] if boundaries else before


def _listed(text: str, found: Patterns) -> list[tuple[str, str]]:
    """Return each letter with a mark after it, as in a list of options, and the mark."""
    return [(match[match.lastindex or 0].upper(), match[0][-1]) for match in found.inline.finditer(text)]


def _label_paragraph(text: str, found: Patterns) -> str | None:
    """Return the letter of "B. Paris" where that is the whole first paragraph, and no list of options."""
    paragraph = re.split(r"\n\s*\n", text, maxsplit=1)[0]
    labels = {match[1].upper() for match in found.label.finditer(paragraph)}
    if (
        len(labels) != 1
        or not (start := found.label.match(paragraph))
        or _CORRECTED.search(text, start.end())
    ):
        return None
    # "A: 5, B: 7, C: 9" is a list of options within a line.
    mark = paragraph[start.end() - 1]
    if {letter for letter, other in _listed(paragraph, found) if other == mark} - labels:
        return None
    others = {match[1].upper() for match in found.label.finditer(text)} - labels
    # "A. x" and, after an empty line, "B. y": a list with room between its entries.
    listed = others and re.search(r"\n\s*\n[(\[]?[A-Za-z][.):]", text)
    return None if listed else str(start[1]).upper()


def _only_mention(text: str, found: Patterns) -> str | None:
    """Return the letter that is mentioned and not argued against, if it is the only one."""
    labels = list(found.label.finditer(text))
    listed = (
        {match.start(1) for match in labels} if len({match[1].upper() for match in labels}) > 1 else set()
    )
    places = [
        match for match in found.mention.finditer(text) if match.start(match.lastindex or 0) not in listed
    ]
    groups: list[list[re.Match[str]]] = []
    for match in places:
        if groups and _JOIN.fullmatch(text, groups[-1][-1].end(), match.start(match.lastindex or 0)):
            groups[-1].append(match)
        else:
            groups.append([match])
    left: set[str] = set()
    for number, group in enumerate(groups):
        begin, end = group[0].start(), group[-1].end()
        until = groups[number + 1][0].start() if number + 1 < len(groups) else len(text)
        ending = re.compile(r"[.!?。！？\n](?=\s|$)|[。！？\n]").search(text, end, until)
        after = text[end : ending.start() if ending else until]
        goes_on = ending is None and number + 1 < len(groups)
        if goes_on or not _EXCLUDED_AT_END.search(after):  # "A, not B" says nothing against A
            after = _AGAINST_BEFORE.sub("", after)
        asked = ending is not None and ending[0] in "?？"
        breaks_off = ending is None and not goes_on and BREAKING_OFF.search(after)
        before = text[max(0, begin - _BEFORE) : begin]
        if (
            asked
            or breaks_off
            or any(p.search(before) for p in (_AGAINST_BEFORE, _NAMED, _SUPPOSED))
            or _DENIED.search(_clause_before(before))
            or _IN_FORMULA.match(text, end)
            or _AFTER_FORMULA.search(before)
            or _AGAINST.search(after)
        ):
            continue
        left |= {match[match.lastindex or 0].upper() for match in group}
    return left.pop() if len(left) == 1 else None


def _by_text(text: str, options: Sequence[str]) -> str | None:
    """Return the letter of the option whose text is the whole answer, or what "the answer is" names."""
    named = [option.strip().rstrip(".").casefold() for option in options]
    for place, wanted in _answers_in_words(text):
        same = [i for i, option in enumerate(named) if option and _is_option(wanted, option)]
        if len(same) == 1 and not _is_turned(text, place, place):
            return ALPHABET[same[0]]
    return _by_first_word(text, named) if set(named) <= _WORDS_OF_JUDGEMENT else None


def _answers_in_words(text: str) -> Iterator[tuple[int, str]]:
    """Yield what may be an option in its own words, and where it is said: all of a text, its last box, its last answer."""
    yield 0, text
    box = last_box(text)
    said = list(_SAID_IN_WORDS.finditer(text))
    if box is not None and (not said or box[0] > said[-1].start()):
        yield box[0], box[1]
    elif said:
        yield said[-1].start(), text[said[-1].end() :].strip(" {}")
    elif not _CORRECTED.search(text) and (line := re.match(r"([^\n]+)\n\s*(?!or\b)", text)):
        yield 0, line[1]


def _is_option(said: str, option: str) -> bool:
    """Return whether a text is an option, and at most a reason after it."""
    rest = said.strip().casefold()
    if not rest.startswith(option):
        return False
    return bool(
        re.match(
            r"\s*[.!。]?\s*[}]*\s*\Z|\s*,\s*(?:not|because|since|as)\b|\s+because\b|\s*\n",
            rest[len(option) :],
        )
    )


def _by_first_word(text: str, words: Sequence[str]) -> str | None:
    """Return the letter of the word of judgement that the answer begins with; None where another one follows."""
    begun = {
        word.casefold() for word in re.findall(r"(?:\A|[.!?\n])\W*(\w+)(?=\s*[,.;:!?—–-]|\s*\n|\s*\Z)", text)
    } & set(words)
    first = re.match(r"\W*(\w+)\s*(?:[,.;:!—–-]|\n|\Z)", text)
    if first is None or begun != {first[1].casefold()} or _CORRECTED.search(text, first.end()):
        return None
    return ALPHABET[list(words).index(first[1].casefold())]


def _options(row: Mapping[str, Any]) -> Any:
    options = row.get("options") or row.get("choices")
    # {"text": [...], "label": [...]} as in ARC, or {"A": ..., "B": ...} as in MedQA.
    if isinstance(options, Mapping) and isinstance(
        values := next(iter(options.values()), None), list | tuple
    ):
        return values
    return options


def _texts(row: Mapping[str, Any]) -> list[str]:
    options = _options(row)
    values = options.values() if isinstance(options, Mapping) else options
    if isinstance(values, str) or not isinstance(options, Sized) or values is None:
        return []
    return [value for value in values if isinstance(value, str)] if _all_texts(values) else []


def _all_texts(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _option_count(row: Mapping[str, Any]) -> int:
    """Return how many options a row has."""
    options = _options(row)
    if isinstance(options, str) or not isinstance(options, Sized) or not options:
        return _DEFAULT_OPTIONS
    if len(options) > len(ALPHABET):
        raise ValueError(
            f"found {len(options)} options in a row, expected at most {len(ALPHABET)}, one for each letter; "
            "use another post-processor than first_option"
        )
    return len(options)
