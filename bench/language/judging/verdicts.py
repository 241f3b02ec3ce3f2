"""Judges the answers of a dataset: by a rubric, in pairs, and against the labels of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.core.errors import LanguageProblem
from bench.language.grading import Graded
from bench.language.judging.agreement import agreement
from bench.language.judging.asking import Judge, JudgeRequest
from bench.language.judging.declared import FAILED, FIRST, PASSED, SECOND, TIE, Judging, Pairwise, Rubric
from bench.language.judging.prompts import pair_prompt, rubric_prompt
from bench.language.judging.record import JudgeNotes
from bench.language.judging.scoring import ValueRange, graded
from bench.language.labels import shown
from bench.language.predictions import StoredPrediction
from bench.language.prompting import Question
from bench.language.readers.verdicts import read_score, read_word

Predictions = Mapping[str, StoredPrediction]
_WORDS = (FIRST, SECOND, TIE)
_OWN_WINS, _OTHER_WINS, _NEITHER = 1.0, 0.0, 0.5


@dataclass
class Judged:
    """What a judge found.

    Attributes:
        metrics: by name.
        notes: for the record.
        values: of the first metric, by the number of the row; None for a verdict that was not read.
        scale: of these values.
    """

    metrics: dict[str, Graded]
    notes: JudgeNotes
    values: dict[int, list[float | None]]
    scale: ValueRange


@dataclass
class _Pair:
    """Two texts to compare, and what the judge said of them: with the own one first, and second."""

    question: Question
    own: str
    other: str
    said: list[str | None] = field(default_factory=list)

    def verdict(self) -> tuple[float | None, bool]:
        """Return what the own text gets, and whether the verdict changed with the position."""
        if self.own == self.other:
            return _NEITHER, False
        first, second = self.said
        if first is None or second is None:
            return None, False
        one = {FIRST: _OWN_WINS, SECOND: _OTHER_WINS, TIE: _NEITHER}[first]
        two = {FIRST: _OTHER_WINS, SECOND: _OWN_WINS, TIE: _NEITHER}[second]
        return (one, False) if one == two else (_NEITHER, True)


def judge_answers(
    judging: Judging, judge: Judge, questions: Sequence[Question], predictions: Predictions,
    others: Predictions | None = None, *, against: str | None = None, seed: int = 0, with_labels: bool = True,
) -> Judged:  # fmt: skip
    """Return what a judge says of the answers of a dataset.

    Args:
        judging: what the dataset's file declares.
        judge: that is asked.
        questions: of the whole dataset; several draws of an answer have the same row.
        predictions: by question.
        others: answers of the reference run, by question, where answers are compared with them.
        against: name of that run, for the record.
        seed: of the bootstrap.
        with_labels: whether agreement with labels is wanted.

    Raises:
        LanguageProblem: a judge that cannot be asked, or rows without what the declaration needs.
    """
    if isinstance(judging, Rubric):
        judged = _by_rubric(judging, judge, questions, predictions, seed)
    else:
        judged = _in_pairs(judging, judge, questions, predictions, others, seed)
        judged.notes.against = judging.against or against
    if judging.label is not None and with_labels:
        _compare_with_labels(judging, judge, questions, judged, seed)
    judged.notes.asked, judged.notes.reused = judge.asked, judge.reused
    return judged


def answer_text(prediction: StoredPrediction) -> str | None:
    """Return the answer that is judged; None where there is none."""
    text = prediction["text"].strip()
    return None if prediction.get("unclosed") or not text else text


def _by_rubric(
    rubric: Rubric, judge: Judge, questions: Sequence[Question], predictions: Predictions, seed: int
) -> Judged:
    low, high = (0, 1) if isinstance(rubric.scale, str) else rubric.scale
    texts = {question.key: answer_text(predictions[question.key]) for question in questions}
    asked = [
        JudgeRequest(question.key, "answer", rubric_prompt(rubric, question, text))
        for question in questions if (text := texts[question.key]) is not None
    ]  # fmt: skip
    found = judge.read(asked, rubric.max_out_len, lambda text: _score(rubric, text))
    said = dict(zip((each.question for each in asked), found, strict=True))
    values: dict[int, list[float | None]] = {}
    for question in questions:
        value = said.get(question.key) if texts[question.key] is not None else low
        values.setdefault(question.index, []).append(None if value is None else float(value))
    unanswered = sum(text is None for text in texts.values())
    scale = ValueRange("judge_score", float(low), float(high))
    notes = JudgeNotes(
        model=judge.config.name, form=rubric.form, verdicts=len(questions), unanswered=unanswered,
        unparsed=sum(one is None for one in found),
    )  # fmt: skip
    metrics = {"judge_score": graded(scale, values, seed, unparsed=unanswered)}
    return Judged(metrics, notes, values, scale)


def _in_pairs(
    pairwise: Pairwise, judge: Judge, questions: Sequence[Question], predictions: Predictions,
    others: Predictions | None, seed: int,
) -> Judged:  # fmt: skip
    pairs: dict[str, _Pair] = {}
    decided: dict[str, float] = {}
    for question in questions:
        own = answer_text(predictions[question.key])
        if pairwise.against is not None:
            other: str | None = _text(question, pairwise.against)
        else:
            assert others is not None
            other = answer_text(others[question.key])
        if own is None or other is None:
            decided[question.key] = _NEITHER if own == other else (_OTHER_WINS if own is None else _OWN_WINS)
        else:
            pairs[question.key] = _Pair(question, own, other)
    _ask_pairs(pairwise, judge, list(pairs.values()))
    values: dict[int, list[float | None]] = {}
    turned: dict[int, list[float | None]] = {}
    for question in questions:
        value, changed = (
            pairs[question.key].verdict() if question.key in pairs else (decided[question.key], False)
        )
        values.setdefault(question.index, []).append(value)
        turned.setdefault(question.index, []).append(None if value is None else float(changed))
    every = [value for row in values.values() for value in row]
    notes = JudgeNotes(
        model=judge.config.name, form=pairwise.form, verdicts=len(questions), unparsed=every.count(None),
        unanswered=sum(answer_text(predictions[question.key]) is None for question in questions),
        wins=every.count(_OWN_WINS), losses=every.count(_OTHER_WINS), ties=every.count(_NEITHER),
        inconsistent=sum(value == 1.0 for row in turned.values() for value in row),
    )  # fmt: skip
    scale = ValueRange("win_rate")
    metrics = {
        "win_rate": graded(scale, values, seed, unparsed=notes.unanswered),
        "judge_inconsistent": graded(ValueRange("judge_inconsistent", higher_is_better=False), turned, seed),
    }
    return Judged(metrics, notes, values, scale)


def _ask_pairs(pairwise: Pairwise, judge: Judge, pairs: Sequence[_Pair], what: str = "") -> None:
    """Ask about each pair twice, each text first once; equal texts need no judge."""
    differing = [pair for pair in pairs if pair.own != pair.other]
    asked = []
    for pair in differing:
        for place, (one, two) in (("A", (pair.own, pair.other)), ("B", (pair.other, pair.own))):
            prompt = pair_prompt(pairwise, pair.question, one, two)
            asked.append(JudgeRequest(pair.question.key, what or f"answer as {place}", prompt))
    said = judge.read(asked, pairwise.max_out_len, lambda text: read_word(text, _WORDS))
    for number, pair in enumerate(differing):
        pair.said = [None if one is None else str(one) for one in said[2 * number : 2 * number + 2]]


def _compare_with_labels(
    judging: Judging, judge: Judge, questions: Sequence[Question], judged: Judged, seed: int
) -> None:
    """Ask the judge about the answers that people labelled, and add how far it agrees."""
    assert judging.label is not None
    own = {question.index: question for question in questions if not question.sample}
    labels = {index: _label(judging, question) for index, question in own.items()}
    rows = [(question, label) for index, question in own.items() if (label := labels[index]) is not None]
    said: list[str | None]
    if isinstance(judging, Rubric):
        assert judging.label_of is not None
        asked = []
        for question, _ in rows:
            prompt = rubric_prompt(judging, question, _text(question, judging.label_of))
            asked.append(JudgeRequest(question.key, "labelled answer", prompt))
        found = judge.read(asked, judging.max_out_len, lambda text: _score(judging, text))
        said = [None if one is None else str(one) for one in found]
    else:
        assert judging.label_of is not None
        one, two = judging.label_of
        pairs = [_Pair(question, _text(question, one), _text(question, two)) for question, _ in rows]
        _ask_pairs(judging, judge, pairs, "labelled answers")
        words = {_OWN_WINS: FIRST, _OTHER_WINS: SECOND, _NEITHER: TIE}
        verdicts = [pair.verdict()[0] for pair in pairs]
        said = [None if verdict is None else words[verdict] for verdict in verdicts]
    compared = agreement(said, [label for _, label in rows], seed)
    measure = ValueRange("judge_agreement").measure
    judged.metrics["judge_agreement"] = Graded(compared.share, compared.values, measure)
    judged.metrics["judge_kappa"] = Graded(compared.kappa, compared.values, measure)
    judged.notes.labelled, judged.notes.labelled_unparsed = len(rows), said.count(None)


def _score(rubric: Rubric, text: str) -> int | None:
    if not isinstance(rubric.scale, str):
        return read_score(text, rubric.scale)
    word = read_word(text, (PASSED, FAILED))
    return None if word is None else int(word == PASSED)


def _label(judging: Judging, question: Question) -> str | None:
    """Return the label of a row as the judge's verdicts are written; None for a row without one.

    Raises:
        LanguageProblem: a label of another form; the message has the value.
    """
    assert judging.label is not None
    value = question.fields.get(judging.label)
    if value is None or value == "":
        return None
    word = value.strip().casefold() if isinstance(value, str) else ""
    if isinstance(judging, Pairwise):
        expected = "A, B or tie"
        found = next((name for name in _WORDS if name.casefold() == word), None)
    elif isinstance(judging.scale, str):
        expected = f"{PASSED} or {FAILED}, true or false"
        found = {PASSED: "1", FAILED: "0"}.get(word, str(int(value)) if isinstance(value, bool) else None)
    else:
        low, high = judging.scale
        expected = f"a whole number from {low} to {high}"
        number = _whole(value)
        found = str(number) if number is not None and low <= number <= high else None
    if found is None:
        raise LanguageProblem(
            "data_failed",
            f"row {question.index}: found the label {shown(value)} in the field {judging.label!r}, expected {expected}; "
            "correct the row, or leave the field empty where nobody judged",
        )
    return found


def _whole(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = value.strip()
        return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) else None


def _text(question: Question, name: str) -> str:
    value = question.fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise LanguageProblem(
            "data_failed",
            f"row {question.index}: found {shown(value)} as {name}, which the judge compares, expected a text; correct the "
            "row, or the declaration of the judge in the dataset's file",
        )
    return value.strip()
