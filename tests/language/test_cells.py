"""A null cell is refused with its row and field wherever it would become the word None."""

from __future__ import annotations

import pytest

from bench.core.errors import LanguageProblem
from bench.language.cells import Cells, NullCell, fill, plain
from bench.language.prompting import QuestionBuilder
from bench.language.spec import Dataset, Examples, Generation, LogLikelihood, Source

ROW = {"q": "Is it?", "note": "a note", "options": ["yes", "no"], "gold": 0}


def build(rows, training=(), **fields):
    declared = Dataset(
        **{
            "source": Source(hub="nobody/x", rows="x"), "prompt": "{note} {q}", "inference": LogLikelihood(),
            "choices": "options", **fields,
        }
    )  # fmt: skip
    return QuestionBuilder(declared, list(training), 0).build(rows)


@pytest.mark.parametrize(
    ("change", "fields", "named"),
    [
        ({"note": None}, {}, "'note'"),
        ({"note": float("nan")}, {}, "'note'"),
        ({"options": ["yes", None]}, {}, r"'options\[1\]'"),
        ({"options": None}, {}, "'options'"),
        ({"options": ["yes", None]}, {"prompt": "{options}"}, r"'options\[1\]'"),
        ({"options": ["yes", None]}, {"prompt": "{options[1]}", "choices": (" a", " b")}, r"'options\[1\]'"),
        ({"note": {"text": None}}, {"prompt": "{note[text]}"}, r"'note\[text\]'"),
        ({"note": None}, {"choices": (" {note}", " b"), "prompt": "{q}"}, "'note'"),
        ({"note": None}, {"prepare": lambda row: {**row, "q": f"{row['note']}?"}}, "'note'"),
        ({"note": None}, {"prepare": lambda row: {**row, "q": str(row.get("note"))}}, "'note'"),
        ({"options": ["yes", None]}, {"prepare": lambda row: {**row, "q": str(row["options"][1])}}, r"'options\[1\]'"),
        ({"options": ["a", None]}, {"prepare": lambda row: {**row, "q": [f"{o}" for o in row["options"]]}}, "'options"),
        ({"note": {"text": None}}, {"prepare": lambda row: {**row, "note": str(row["note"]["text"])}}, "'text'"),
        ({"note": "x"}, {"prepare": lambda row: {**row, "note": None}}, "'note'"),
    ],
)  # fmt: skip
def test_a_null_cell_that_is_used_is_refused_with_row_and_field(change, fields, named):
    with pytest.raises(LanguageProblem, match=rf"row 0: found no value \(null\) in the field {named}"):
        build([{**ROW, **change}], **fields)


def test_a_null_cell_of_an_example_is_refused_too():
    examples = Examples(retriever="fixed", count=1)
    with pytest.raises(LanguageProblem, match="row 0: found no value"):
        build([ROW], [{**ROW, "note": None}], examples=examples)
    with pytest.raises(LanguageProblem, match="row 0: found no value"):
        build(
            [ROW], [{**ROW, "answer": None}], examples=examples, inference=Generation(), answer=" {answer}",
            choices=(), gold="q",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "prepare", "named"),
    [
        ({"note": None}, lambda row: {**row, "q": " ".join(f"{value}" for value in row.values())}, "'note'"),
        ({"note": None}, lambda row: {**row, "q": "; ".join(f"{key}: {value}" for key, value in row.items())}, "'note'"),
        ({"options": ["a", None]}, lambda row: {**row, "q": f"{row['options']}", "options": ["a", "b"]}, r"'options\[1\]'"),
        ({"options": ["a", None]}, lambda row: {**row, "q": ", ".join(map(str, row["options"][1:])), "options": ["a", "b"]},
         r"'options\[1\]'"),
        ({"note": {"text": None}}, lambda row: {**row, "q": f"{row}", "note": "x"}, r"'note\[text\]'"),
    ],
)  # fmt: skip
def test_a_null_that_a_function_writes_down_past_the_guards_is_refused_by_what_it_wrote(
    change, prepare, named
):
    said = rf"row 0: found no value \(null\) in the field {named}"
    with pytest.raises(LanguageProblem, match=said):
        build([{**ROW, **change}], prompt="{q}", prepare=prepare)
    with pytest.raises(LanguageProblem, match=said):
        build(
            [ROW], [{**ROW, **change}], prompt="{q}", prepare=prepare,
            examples=Examples(retriever="fixed", count=1),
        )  # fmt: skip


def test_a_function_that_copies_nulls_and_writes_none_of_them_is_left_alone():
    def prepare(row):
        copied = {key: value for key, value in row.items() if value is not None}
        return {"note": "None given:", **copied}

    (question,) = build([{**ROW, "note": None}], prepare=prepare)
    assert question.query == "None given: Is it?"


def test_examples_of_a_subject_that_is_no_number_are_refused():
    rows = [{**ROW, "subject": float("nan")}]
    with pytest.raises(LanguageProblem, match=r"row 0: found the fields .*, expected subject"):
        build(rows, rows, examples=Examples(retriever="fixed", count=1, within="subject"))


def test_an_optional_field_is_an_empty_text_and_never_the_word_none():
    (question,) = build([{**ROW, "note": None}], optional=("note",))
    assert question.query == " Is it?"
    (question,) = build(
        [{**ROW, "note": None}], optional=("note",), prepare=lambda row: {**row, "q": f"[{row['note']}]"}
    )
    assert question.query == " []"


def test_null_cells_that_nothing_uses_do_not_matter():
    row = {**ROW, "comment": None, "extra": [None]}
    assert build([row])[0].query == "a note Is it?"
    (question,) = build([row], prepare=lambda row: {**row, "options": row["options"]})
    assert type(question.fields["options"]) is list  # without the guard of the row that it came from
    assert question.labels == ("yes", "no")


def test_a_row_is_read_as_before():
    cells = Cells({"a": {"b": [1, {"c": 2}]}, "d": None})
    assert cells["a"]["b"][1]["c"] == 2
    assert cells.get("e", 3) == 3
    assert plain(dict(cells)) == {"a": {"b": [1, {"c": 2}]}, "d": None}
    with pytest.raises(NullCell):
        cells.get("d", 4)
    assert fill("{a:>3}{b!r}{{}}", {"a": "x", "b": "y"}) == "  x'y'{}"
