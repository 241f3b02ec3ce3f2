"""Answers as models write them, each with what a careful reader takes from it; a reader never guesses."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from bench.language.chat import Marks, parted
from bench.language.postprocess import apply_postprocessors, normal_gold

TABLES = ("answers.tsv", "answers_afterwards.tsv", "answers_of_styles.tsv", "answers_in_other_forms.tsv")
READERS = {"letter": "first_option", "number": "last_number", "formula": "formula"}


def rows_of(table: str) -> list[list[str]]:
    with open(Path(__file__).with_name(table), encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]


def unescaped(text: str) -> str:
    return re.sub(r"\\([n\\])", lambda found: {"n": "\n", "\\": "\\"}[found[1]], text)


def read(kind: str, text: str, cut: bool) -> str | None:
    name, count, options = re.fullmatch(r"([a-z]+)(\d*)(?:=(.+))?", kind).groups()
    row = {"options": options.split("|")} if options else {}
    if count:
        row = {"options": [f"option {i}" for i in range(int(count))]}
    answer = parted(text, Marks()).answer
    return None if answer is None else apply_postprocessors([READERS[name]], answer, row, cut=cut)


@pytest.mark.parametrize("table", TABLES)
def test_each_answer_is_read_as_it_was_meant_or_not_at_all(table):
    wrong = []
    for kind, finish, right, text in rows_of(table):
        wanted = None if right == "null" else unescaped(right.removeprefix("~"))
        found = read(kind, unescaped(text), finish == "length")
        # Of those with a ~ it is known that they are not read; to read them wrongly would be a fault all the same.
        if found != wanted and not (right.startswith("~") and found is None):
            wrong.append((text, found, wanted))
    assert not wrong


@pytest.mark.parametrize(
    ("text", "question", "letter"),
    [
        ("Least likely: C", "Which ending is the least likely?", "C"),
        ("Least likely: C", "Anna needs at least two cups. What does she do?", None),
        ("C: least likely", "Which ending is the least likely?", "C"),
        ("Worst: B", "Which plan is worst?", "B"),
        ("Worst: B", "Which plan is best?", None),
        ("Incorrect: B", "Which statement is incorrect?", "B"),
        ("Best: A. Worst: B.", "Which plan is worst?", "B"),
        ("最不可能：C", "下面哪一项最不可能？", "C"),
        ("最可能的是C，最不可能的是A。", "接下来最可能发生什么？", "C"),
        ("最可能的是C，最不可能的是A。", "下面哪一项最不可能？", "A"),
        ("最不合适的选项是A，最合适的选项是C。", "哪一项最合适？", "C"),
        ("最不可能的是A。", "接下来最可能发生什么？", None),
        ("错误：B", "下列说法错误的是", "B"),
        ("错误：B", "下列说法正确的是", None),
    ],
)
def test_what_a_label_denies_is_the_answer_where_the_question_asks_for_it(text, question, letter):
    row = {"question": question, "options": ["one", "two", "three", "four"]}
    assert apply_postprocessors(["first_option"], text, row) == letter


def test_what_an_option_says_of_itself_is_not_said_of_it():
    row = {"question": "Is it so?", "options": ["True", "False", "Wrong"]}
    assert apply_postprocessors(["first_option"], "B. False", row) == "B"
    assert apply_postprocessors(["first_option"], "A. False", {**row, "options": ["1", "2"]}) is None
    assert apply_postprocessors(["first_option"], "A. False", {}) == "A"
    assert apply_postprocessors(["first_option"], "A: least likely", {}) is None


def test_readers_of_labels_take_a_time_that_grows_with_the_text_alone():
    for text in (
        "First: A. " * 3000,
        "a b " * 8000,
        "x: 3, " * 4000,
        ": " * 9000,
        "A, " * 9000,
        "1) 3 " * 500,
    ):
        for reader in ("first_option", "last_number"):
            apply_postprocessors([reader], text, {"options": ["one", "two"]})


def test_the_tables_hold_many_answers_of_every_kind():
    rows = [row for table in TABLES for row in rows_of(table)]
    assert len(rows) > 400
    assert {re.match("[a-z]+", kind)[0] for kind, *_ in rows} == set(READERS)
    assert sum(right.startswith("~") for _, _, right, _ in rows) < 25
    assert sum(right == "null" for _, _, right, _ in rows) > 80
    assert sum(any("\u4e00" <= sign <= "\u9fff" for sign in text) for *_, text in rows) > 70


@pytest.mark.parametrize(
    ("reader", "gold", "normal"),
    [
        ("last_number", "5.0", "5"),
        ("last_number", "$1,234.50", "1234.5"),
        ("last_number", "18.", "18"),
        ("last_number", "−8", "-8"),
        ("last_number", "1/2", "0.5"),
        ("last_number", r"\frac{3}{8}", "0.375"),
        ("first_number", "72 clips", "72"),
        ("last_number", "no number", "no number"),
        ("last_number", "3 or 4", "3 or 4"),
        ("first_option", "(b)", "B"),
        ("first_option", "B.", "B"),
        ("first_option", "Berlin", "Berlin"),
        ("lower", "Paris", "paris"),
        ("first_word", "New York", "New York"),
    ],
)
def test_a_right_answer_has_the_form_that_the_reader_writes(reader, gold, normal):
    assert normal_gold([reader], gold) == normal
