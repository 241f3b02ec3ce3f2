"""Labels are read by the form that is declared; whatever has another form is refused, with the row and the value."""

from __future__ import annotations

import numpy as np
import pytest

from bench.core.errors import LanguageProblem
from bench.language.labels import Labels
from bench.language.library import load_dataset
from bench.language.prompting import QuestionBuilder
from bench.language.spec import Dataset, LogLikelihood, Source

BOOLQ = {"passage": "Anna has a cup.", "question": "does anna have a cup"}
SIQA = {"context": "x", "question": "q", "answerA": "a", "answerB": "b", "answerC": "c"}
ARC = {"question": "q", "choices": {"text": ["horse", "table", "cup", "sun"], "label": ["A", "B", "C", "D"]}}
WORDS = Labels("word", words=(("entailment", "yes"), ("neutral",), ("contradiction", "no")))


def gold(name, row, number=0):
    dataset = load_dataset(name)
    training = [row] * dataset.examples.count
    (question, *_) = QuestionBuilder(dataset, training, 0).build([row], number)
    return question.golds[0]


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (True, 1), (False, 0), ("yes", 1), ("no", 0), ("true", 1), ("false", 0), ("False", 0), ("No", 0), (1, 1), (0, 0),
        ("1", 1), ("0", 0),
    ],
)  # fmt: skip
def test_a_truth_value_is_read_by_its_meaning_and_not_by_its_truthiness(answer, right):
    assert gold("boolq_ll", {**BOOLQ, "label": answer}) == right


@pytest.mark.parametrize(
    ("answer", "shown"), [(None, "null"), ("", "''"), ("maybe", "'maybe'"), (2, "2"), (-1, "-1"), ([], "[]")]
)
def test_what_is_no_truth_value_is_refused_with_row_and_value(answer, shown):
    with pytest.raises(LanguageProblem) as caught:
        gold("boolq_ll", {**BOOLQ, "label": answer}, 7)
    assert str(caught.value).startswith("row 7: found ")
    assert shown in str(caught.value)
    assert "'label'" in str(caught.value)


def test_labels_that_count_from_another_number_are_refused_and_not_shifted():
    assert [gold("siqa_ppl", {**SIQA, "label": label}) for label in ("1", 2, "3\n", 3.0)] == [0, 1, 2, 2]
    for wrong in ("0", 0, 4, "-1", -1, True, "B", "1.0", 1.5, "１", "²"):
        with pytest.raises(LanguageProblem, match=r"row 3: found the label .* expected a number from 1 to 3"):
            gold("siqa_ppl", {**SIQA, "label": wrong}, 3)


def test_a_label_is_one_of_those_that_the_row_lists():
    assert gold("arc_easy_ll", {**ARC, "answerKey": "C"}) == 2
    numbered = {**ARC, "choices": {**ARC["choices"], "label": ["1", "2", "3", "4"]}}
    assert gold("arc_easy_ll", {**numbered, "answerKey": "4"}) == 3
    with pytest.raises(
        LanguageProblem, match=r"row 0: found the label 'E' .* none of them .*'A', 'B', 'C', 'D'"
    ):
        gold("arc_easy_ll", {**ARC, "answerKey": "E"})
    twice = {**ARC, "choices": {**ARC["choices"], "label": ["A", "A", "C", "D"]}}
    with pytest.raises(LanguageProblem, match="several of them"):
        gold("arc_easy_ll", {**twice, "answerKey": "A"})


@pytest.mark.parametrize(
    ("labels", "value", "index"),
    [
        (Labels("letter", options=4), "d", 3),
        (Labels("letter", options=4), " B ", 1),
        (Labels("boolean"), 1.0, 1),
        (Labels("boolean"), np.bool_(False), 0),
        (Labels("zero_based", options=3), np.int64(2), 2),
        (WORDS, "No", 2),
        (WORDS, "neutral", 1),
        (Labels("boolean", true=1), "yes", 1),
        (Labels("zero_based", options=3), "2", 2),
    ],
)
def test_each_form_reads_its_own(labels, value, index):
    assert labels.read({"label": value}) == index


@pytest.mark.parametrize(
    ("labels", "value", "expected"),
    [
        (Labels("letter", options=4), "E", "a letter from A to D"),
        (Labels("letter", options=4), "AB", "a letter from A to D"),
        (Labels("letter"), "Ä", "a letter from A"),
        (WORDS, "entails", "one of entailment, yes, neutral"),
        (Labels("zero_based", options=3), 3, "a number from 0 to 2"),
        (Labels("zero_based", options=3), "1e0", "a number from 0 to 2"),
        (Labels("zero_based", options="kept"), 0, "as the options in 'kept', expected a list"),
    ],
)
def test_each_form_says_what_it_expects(labels, value, expected):
    with pytest.raises(ValueError, match=expected):
        labels.read({"label": value})


def test_a_column_shows_whether_it_counts_from_0_or_from_1():
    counted = Labels("by_column", options=3)
    assert counted.settled([{"label": "2"}, {"label": 0}]).form == "zero_based"
    assert counted.settled([{"label": 1}, {"label": 3}]).form == "one_based"
    assert Labels("letter").settled([]).form == "letter"
    for column in ([1, 2], [], [0, 3]):
        with pytest.raises(ValueError, match=r"the column shows no beginning.*declare Labels"):
            counted.settled([{"label": label} for label in column])
    with pytest.raises(ValueError, match="row 1: found the label 'C'"):
        counted.settled([{"label": 0}, {"label": "C"}])


def test_the_label_of_a_row_is_decided_by_the_whole_column():
    declared = Dataset(
        source=Source(hub="nobody/x", rows="x"), prompt="{q}", inference=LogLikelihood(), gold="label",
        choices=(" a", " b", " c"), labels=Labels("by_column", options=3),
    )  # fmt: skip
    rows = [{"q": "x", "label": label} for label in (1, 2, 3)]
    assert [question.golds[0] for question in QuestionBuilder(declared, [], 0).build(rows)] == [0, 1, 2]
    with pytest.raises(LanguageProblem, match="no row has a 0"):
        QuestionBuilder(declared, [], 0).build(rows[:2])


def test_a_row_without_the_field_names_those_that_it_has():
    with pytest.raises(ValueError, match="found no field 'label' with the label, the fields are q, gold"):
        Labels("zero_based").read({"q": 1, "gold": 2})


@pytest.mark.parametrize(
    "fields",
    [
        {"form": "number"}, {"form": "word"}, {"form": "letter", "words": (("a",),)},
        {"form": "word", "words": (("a", "b"), ("B",))}, {"form": "listed"}, {"form": "boolean", "true": 2},
    ],
)  # fmt: skip
def test_a_declaration_that_contradicts_itself_is_refused(fields):
    with pytest.raises(ValueError, match=r"^found "):
        Labels(**fields)


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (None, "without labels"), (-1, "without labels"), ("B", "labels=Labels"), (True, "found true"),
        (2, "labels=Labels"), ("²", "labels=Labels"),
    ],
)  # fmt: skip
def test_labels_that_are_not_declared_are_indices_from_0_and_nothing_else(value, advice):
    declared = Dataset(
        source=Source(hub="nobody/x", rows="x"), prompt="{q}", inference=LogLikelihood(), choices=(" a", " b")
    )
    builder = QuestionBuilder(declared, [], 0)
    assert [
        question.golds[0] for question in builder.build([{"q": "x", "gold": 1}, {"q": "x", "gold": "0"}])
    ] == [1, 0]
    with pytest.raises(LanguageProblem, match=f"row 5: .*{advice}"):
        builder.build([{"q": "x", "gold": value}], 5)
