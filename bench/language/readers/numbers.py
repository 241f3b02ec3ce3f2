"""Reads the number that an answer ends with. Where several may be meant, none is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice, pairwise
from typing import Any

from bench.language.readers.number_patterns import (
    ADJUNCT,
    ANSWER,
    ASIDE,
    ASSIGNED,
    BOUND_AFTER,
    BOUND_BEFORE,
    COMPARED,
    COMPARISON,
    COMPOUND,
    CONCLUDES,
    DENIED,
    DROPPED,
    EXPLAINS,
    FINISHED,
    GIVES_UP,
    HASHES,
    HEDGED,
    LISTED,
    NEXT_FIELD,
    NUMBER_OF,
    NUMBERED,
    OF_SEVERAL,
    ONLY_COMPARED,
    OPERATOR,
    OR_ELSE,
    PARTS,
    PERCENT,
    RANGE,
    REASON,
    REMARK,
    REST,
    RESULT,
    SAME,
    SENTENCE_END,
    SUPPOSED,
    TAKEN_BACK,
    TOGETHER,
    TOTAL,
    VARIABLE_AFTER,
    VARIABLE_BEFORE,
    WITH_REST,
)
from bench.language.readers.number_words import number_in_words, whole_number_in_words
from bench.language.readers.parts import are_several_numbers, total_of_parts
from bench.language.readers.quantities import Quantity, plain_formulas, quantities, written
from bench.language.readers.text import last_box, own_part

Row = Mapping[str, Any]
# Longer chains of reasons than this are no sentences.
_MOST_REASONS = 8
_STEP = re.compile(r"(?m)^[^\w\n]*(?i:step|步骤|第)\s*[0-9]{1,2}\s*步?\s*[:.)：、]")
_FIRST_SENTENCE = re.compile(r"(?<=[0-9*])[.!][^\S\n]+(?=[^\W\d_])|(?<=\S)[^\S\n][—–]\s")


def last_number(text: str, row: Row, cut: bool = False) -> str | None:
    r"""Return the number that the text gives as its answer, in plain digits such as "1234.5", "-3" or "0.375", or None.

    What counts is the last of these: what follows ``####``, what is in ``\boxed{}``, what follows "the answer is" and
    the like. Without any of them, it is the last sentence with a number. Of a sentence, what is in parentheses is left
    out where there is more; what follows "=", "that is", "i.e.", "in total" says the result; a number in bold type goes
    before others; "in 2 months" and "the 4 friends" are no results. If several numbers remain, none is read. Nor are dates,
    ranges, and quantities of two units ("2 h 15 min") that are not converted.

    Thousands may be separated by a comma or a space. Currency and percent signs are ignored. A fraction is a number: "3/8"
    is "0.375", and "1/3" stays "1/3". Text after a new "Question:" counts only if nothing before it is read. Of a text that
    was cut at its limit, only what was given as the answer is read, and only if something follows it.
    """
    own = own_part(text)
    return (_read(own, cut) if own is not None else None) or _read(text, cut)


def first_number(text: str, row: Row, cut: bool = False) -> str | None:
    """Return the first number of the text in plain digits, or None. See ``last_number`` for its forms."""
    plain = plain_formulas(text)
    found = next(iter(quantities(plain)), None)
    if found is None or found.value is None or (cut and not FINISHED.match(plain, found.end)):
        return None
    return written(found.value)


def plain_number(gold: str) -> str | None:
    """Return a right answer as the readers return answers: ``5.0`` is ``5``; None if it is not one number."""
    values = {found.value for found in quantities(plain_formulas(gold))}
    value = values.pop() if len(values) == 1 else None
    return None if value is None else written(value)


def _read(text: str, cut: bool) -> str | None:
    plain = plain_formulas(text)
    if last_box(text) is None and "####" not in text and are_several_numbers(plain, enumerated=True):
        return None
    said = _said(text, plain, cut)
    if said is not None:
        number, after = said
        back = TAKEN_BACK.search(plain, after)
        return _read(plain[back.end() :], cut) if back else number
    if cut:
        return None
    if len({match["number"].rstrip(".,") for match in PARTS.finditer(plain)}) > 1 or (
        _are_several(plain) or are_several_numbers(plain)
    ):
        return None
    return _concluded(plain)


def _concluded(plain: str) -> str | None:
    """Return the number that a text without a statement of an answer ends with, or begins with."""
    total = total_of_parts(plain)
    if total is not None and not TAKEN_BACK.search(plain):
        return _picked(total)
    is_step = _STEP.match(plain) is not None
    plain = _without_labels(plain)
    last = _last_sentence(plain)
    # "Step 1: 3" begins with no answer.
    alone, rest = (None, "") if is_step else _alone(plain)
    if alone is None or alone == last or TAKEN_BACK.search(rest):
        return last
    return alone if last is None or EXPLAINS.match(rest) else None


def _are_several(text: str) -> bool:
    """Return whether a text ends with lines that have a number each, and the last one is no total."""
    lines = list(NUMBER_OF.finditer(text))
    end, several = len(text.rstrip()), []
    for line in reversed(lines):
        if text[line.end() : end].strip():
            break
        several.append(line)
        end = line.start()
    return (
        len(several) > 1
        and not TOTAL.search(several[0]["label"])
        and len({line["number"].strip("*") for line in several}) > 1
    )


def _alone(text: str) -> tuple[str | None, str]:
    """Return the number that is all of the first line or sentence, and the rest of the text; None if there is none."""
    line, _, below = text.strip().partition("\n")
    end = _FIRST_SENTENCE.search(line)
    first, rest = (line[: end.start()], line[end.end() :] + "\n" + below) if end else (line, below)
    found = quantities(first)
    bare = re.fullmatch(r"\**[$€£¥]?[-−]?[0-9][0-9,.]*(?:/[0-9]+)?\s?%?\**", first) or re.fullmatch(
        r"\*\*[$€£¥]?[-−]?[0-9][0-9,.]*(?:\s[\w ]{1,20})?\*\*", first
    )
    if not rest.strip() or not bare or len(found) != 1 or found[0].value is None:
        return None, rest
    return written(found[0].value), rest


def _last_sentence(plain: str) -> str | None:
    """Return the number of the last sentence with one."""
    sentences = [sentence for sentence in SENTENCE_END.split(plain) if sentence and sentence.strip()]
    for place in range(len(sentences) - 1, -1, -1):
        sentence = sentences[place]
        if GIVES_UP.search(sentence) or (OR_ELSE.match(sentence) and quantities(sentence)):
            return None
        if REMARK.match(sentence) or sentence.rstrip().endswith(("?", "？")):
            continue
        if ONLY_COMPARED.match(sentence) and any(map(quantities, sentences[:place])):
            continue
        if quantities(sentence):
            return _picked(sentence)
    words = whole_number_in_words(plain)
    return None if words is None else written(words)


def _without_labels(text: str) -> str:
    """Return the text without the numbers of its steps: "1. Add" is "Add"."""
    text = _STEP.sub("", text)
    labels = re.findall(r"(?m)^[^\S\n]*(?:\*\*)?([0-9]{1,2})[.)]\s+(?=\S)", text)
    if len(labels) > 1 or labels == ["1"]:
        text = re.sub(r"(?m)^[^\S\n]*(?:\*\*)?[0-9]{1,2}[.)]\s+(?=\S)", "", text)
    return text


def _said(text: str, plain: str, cut: bool) -> tuple[str | None, int] | None:
    """Return the number of the last place where the text says that it gives its answer, and where in `plain` that ends.

    The number is None where what is said there is not one number. None is a text that says no answer.
    """
    places: list[tuple[int, str | None]] = []
    # Places are compared as shares of the text: formulas in plain characters are a little shorter.
    scale = len(plain) / max(len(text), 1)
    box = last_box(text)
    if box is not None and quantities(plain_formulas(box[1])):
        places.append((int(box[0] * scale), _picked(plain_formulas(box[1]))))
    for match in reversed(list(HASHES.finditer(plain))):
        if quantities(match[1]) and (not cut or _is_finished(plain, match.start(1))):
            places.append((match.start(1), _picked(match[1])))
            break
    for match in reversed(list(ANSWER.finditer(plain))):
        rest = _following(plain, match.end())
        asked = rest.rstrip().endswith(("?", "？")) or re.search(
            r"(?i)\bif\b[^.\n]*$", plain[max(0, match.start() - 60) : match.start()]
        )
        if asked or (cut and not _is_finished(plain, match.end())):
            continue
        if quantities(rest):
            places.append((match.end(), _picked(rest)))
            break
        if (words := number_in_words(rest)) is not None:
            places.append((match.end(), written(words)))
            break
    if not places:
        return None
    place, number = max(places, key=lambda place: place[0])
    return number, place


def _following(text: str, place: int) -> str:
    """Return the rest of a sentence, or the next line where nothing is left of it."""
    for part in SENTENCE_END.split(text[place : place + 400]):
        if part and re.search(r"\w", part):
            return NEXT_FIELD.split(part, maxsplit=1)[0]
    return ""


def _is_finished(text: str, place: int) -> bool:
    """Return whether the text goes on after the first number from a place on, so that its last digit is there."""
    part = text[place : place + 400]
    found = next(iter(quantities(part)), None)
    return found is None or FINISHED.match(part, found.end) is not None


def _picked(sentence: str) -> str | None:
    """Return the number that a sentence states; None if it has several."""
    bare = COMPARISON.sub(" ", ASIDE.sub(" ", sentence))
    if quantities(bare):
        sentence = bare
    sentence = _without_reason(sentence)
    if SUPPOSED.search(sentence) and not CONCLUDES.search(sentence):
        return None
    if HEDGED.search(sentence) and len({q.value for q in quantities(sentence)}) > 1:
        return None
    assigned = _assigned(sentence)
    if assigned is not None:
        return assigned or None
    found = [q for q in quantities(sentence) if not DENIED.search(sentence[max(0, q.start - 20) : q.start])]
    found = [q for q in found if not _is_term(sentence, q)]
    found = [q for q in found if not COMPARED.match(sentence, q.end)] or found
    found = [q for q in found if not _is_bound(sentence, q)]
    if not found:
        return None
    for mark in reversed(list(CONCLUDES.finditer(sentence))):
        if any(q.start >= mark.end() for q in found):
            return _picked(sentence[mark.end() :])
    chosen = _one_of(sentence, found)
    return None if chosen is None or chosen.value is None else written(chosen.value)


def _without_reason(sentence: str) -> str:
    """Return what stands before "because", if that has a number and nothing is concluded after it."""
    for reason in islice(REASON.finditer(sentence), _MOST_REASONS):
        before = sentence[: reason.start()]
        if quantities(before) and not CONCLUDES.search(sentence, reason.end()):
            return before
    return sentence


def _assigned(sentence: str) -> str | None:
    """Return what variables are said to be where a sentence gives several values; None where it gives no more than one.

    "x = 12 and x = -5" leaves two answers open, which is empty text; of "x = 12; x = -5 is rejected" one is left.
    """
    found = list(ASSIGNED.finditer(sentence))
    several = [
        (first, second)
        for first, second in pairwise(found)
        if first[2] != second[2]
        and (first[1] == second[1] or LISTED.fullmatch(sentence, first.end(), second.start()))
    ]
    if not several or re.search(r"=\s*[$€£¥]?[-−]?[0-9]", sentence[found[-1].end() :]):
        return None
    kept = [match for match in found if not DROPPED.match(sentence, match.end())]
    values = {one.value for match in kept for one in quantities(match[2])}
    value = values.pop() if len(values) == 1 else None
    return "" if value is None else written(value)


def _one_of(sentence: str, found: list[Quantity]) -> Quantity | None:
    together = TOGETHER.search(sentence)
    # A single number before it may belong to somebody else.
    if together is not None and sum(q.end <= together.start() for q in found) > 1:
        return next((q for q in found if q.start >= together.end()), None)
    for mark in reversed(list(SAME.finditer(sentence))):
        after = [q for q in found if mark.end() <= q.start]
        earlier = [q for q in found if q.end <= mark.start()]
        if not after:
            continue
        if _are_alternatives(sentence, earlier, after):
            return None if "=" in mark[0] else after[0]
        if after[0].start - mark.end() <= 40 and not _goes_on(sentence, after):
            return earlier[-1] if earlier and _is_percentage(sentence, earlier[-1], after[0]) else after[0]
        # "12 = 3 × 4" says what 12 is made of.
        made_of = len(earlier) == 1 and len(after) > 1 and _joins(OPERATOR, sentence, after)
        return earlier[0] if made_of else _single(sentence, after)
    bold = [q for q in found if q.bold]
    if bold and len({q.value for q in bold}) == 1 and not _goes_on(sentence, found[found.index(bold[0]) :]):
        return bold[0]
    single = _single(sentence, found)
    return None if single is not None and _is_next_to_others(sentence, single, found) else single


def _is_next_to_others(sentence: str, number: Quantity, found: list[Quantity]) -> bool:
    """Return whether as much is said of others, as in "Ann has 5, Bob and Carl together 12" and "4, with 2 left over"."""
    if len({q.value for q in found}) > 1 and WITH_REST.search(sentence):
        return True
    later = (q.start for q in found if q.start > number.end and q.value != number.value)
    return any(OF_SEVERAL.search(sentence, number.end, start) for start in later)


def _is_percentage(sentence: str, first: Quantity, second: Quantity) -> bool:
    """Return whether the second number is the first one in percent, as in "0.5 = 50%", where no percentage is asked for."""
    if re.search(r"\bpercent(?:age)?\b|百分", sentence[: first.start], re.IGNORECASE):
        return False
    if first.value is None or second.value != 100 * first.value or PERCENT.match(sentence, first.end):
        return False
    return PERCENT.match(sentence, second.end) is not None


def _are_alternatives(sentence: str, earlier: list[Quantity], after: list[Quantity]) -> bool:
    """Return whether "or" stands between two different numbers, as in "x = 3 or x = 4"."""
    if not earlier or earlier[-1].value == after[0].value:
        return False
    return re.search(r"\bor\b|或", sentence[earlier[-1].end : after[0].start]) is not None


def _single(sentence: str, found: list[Quantity]) -> Quantity | None:
    """Return the number that is left without sums, ranges and circumstances; None if there are several."""
    joined = {
        i + j
        for i in range(len(found) - 1)
        if _goes_on(sentence, found[i : i + 2]) and not _is_aside(sentence, found[i], found[i + 1])
        for j in (0, 1)
    }
    found = [number for place, number in enumerate(found) if place not in joined]
    if len({q.value for q in found}) == 1:
        return found[0]
    for test in (_is_rest, _is_result, _is_no_adjunct):
        passed = [q for q in found if test(sentence, q)]
        if passed and len({q.value for q in passed}) == 1:
            return passed[0]
        found = passed or found
    return None


def _is_term(sentence: str, number: Quantity) -> bool:
    """Return whether a number is a part of a formula with a variable, as in "x + 3", or of a name, as in "page 3"."""
    before, after = sentence[max(0, number.start - 6) : number.start], sentence[number.end : number.end + 6]
    named = NUMBERED.search(sentence[max(0, number.start - 12) : number.start])
    return bool(named or VARIABLE_BEFORE.search(before) or VARIABLE_AFTER.match(after))


def _is_bound(sentence: str, number: Quantity) -> bool:
    """Return whether a number is only what another one is more or less than."""
    before = re.sub(r"<[^<>\s]*>\s*$", "", sentence[max(0, number.start - 20) : number.start])
    return bool(BOUND_BEFORE.search(before) or BOUND_AFTER.match(sentence, number.end))


def _is_aside(sentence: str, first: Quantity, second: Quantity) -> bool:
    """Return whether the first number is a circumstance before a comma, as in "of the 20 students, 17 passed"."""
    return "," in sentence[first.end : second.start] and not _is_no_adjunct(sentence, first)


def _is_rest(sentence: str, number: Quantity) -> bool:
    return REST.match(sentence, number.end) is not None


def _is_result(sentence: str, number: Quantity) -> bool:
    return RESULT.search(sentence[max(0, number.start - 60) : number.start]) is not None


def _is_no_adjunct(sentence: str, number: Quantity) -> bool:
    return ADJUNCT.search(sentence[max(0, number.start - 40) : number.start]) is None


def _goes_on(sentence: str, found: list[Quantity]) -> bool:
    """Return whether the first number and the next one are one thing: a sum, a range, or a quantity of two units."""
    if len(found) < 2:
        rest = sentence[found[0].end :]
        return bool(OPERATOR.fullmatch(rest) and re.search(r"[-+×*/÷]\s*$", rest))
    return any(_joins(pattern, sentence, found) for pattern in (OPERATOR, RANGE, COMPOUND))


def _joins(pattern: re.Pattern[str], sentence: str, found: list[Quantity]) -> bool:
    return pattern.fullmatch(sentence[found[0].end : found[1].start]) is not None
