"""An answer is read as it was meant, or not at all."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.language.postprocess import (
    POSTPROCESSORS,
    apply_postprocessors,
    boxed,
    first_line,
    first_number,
    first_option,
    first_word,
    last_number,
)

FOUR = {"options": ["wool", "milk", "honey", "eggs"]}


# --- option letters ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("A", "A"),
        (" C", "C"),
        ("c", "C"),
        ("(B)", "B"),
        ("[B]", "B"),
        ("**B**", "B"),
        ("_B_", "B"),
        ("`B`", "B"),
        ('"B"', "B"),
        ("b)", "B"),
        ("b. foo", "B"),
        ("B) foo", "B"),
        ("B.Paris", "B"),
        ("A. Paris", "A"),
        ("A: Paris", "A"),
        ("A.北京", "A"),
        ("Option C", "C"),
        ("Option (b)", "B"),
        ("option a", "A"),
        ("It is C.", "C"),
        ("I'd say C", "C"),
        ("I believe it's B)", "B"),
        ("A, since it rained", "A"),
        ("A because it rained", "A"),
        ("A is right", "A"),
        ("\\boxed{A}", "A"),
        ("\\boxed{\\textbf{(B) } 5}", "B"),
    ],
)
def test_every_usual_way_to_name_an_option_is_understood(text, letter):
    assert first_option(text, FOUR) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Answer: D", "D"),
        ("Answer D", "D"),
        ("Answer:\n\nB", "B"),
        ("answer: a", "A"),
        ("The answer is C.", "C"),
        ("The answer is a.", "A"),
        ("the answer is b because", "B"),
        ("The answer is A because it rained", "A"),
        ("The answer to the question is B.", "B"),
        ("The correct option is (D).", "D"),
        ("The correct answer is option C", "C"),
        ("**Answer:** C", "C"),
        ("**Answer**: (c)", "C"),
        ("The final answer is: $\\boxed{\\text{C}}$.", "C"),
        ("答案是B", "B"),
        ("答案：C。", "C"),
        ("正确答案为 **D**", "D"),
    ],
)
def test_a_statement_of_the_answer_is_understood(text, letter):
    assert first_option(text, FOUR) == letter


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A man walks in",
        "A 5-year plan",
        "A quick B-movie",
        "I think so",
        "The answer is a dog",
        "Answer: A man",
        "option a lot of",
        "e.g. a thing",
        "Alice and Bob",
        "BB",
        "A5",
        "N/A",
        "Q&A",
        "C++ is",
        "U.S.A. is",
        "A-level",
        "f(a) = b",
        "None of the above",
    ],
)
def test_words_names_and_articles_are_no_options(text):
    assert first_option(text, FOUR) is None


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B looks good. The answer is C.", "C"),
        ("The answer is A. No, the answer is B.", "B"),
        ("A quick test. Answer: B", "B"),
        ("A is wrong. C is the correct answer.", "C"),
        ("B and not C", "B"),
        ("The answer is not A but B", "B"),
        ("First A, then \\boxed{D}", "D"),
    ],
)
def test_the_last_statement_outranks_letters_that_are_only_weighed(text, letter):
    assert first_option(text, FOUR) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        (" A\n\nAnna ran. And now?\nA. x\nB. y\nAnswer: B", "A"),
        (" A. proud\n\nAnna ran.\nQuestion: And now?\nA. x\nB. y\nAnswer: B", "A"),
        (" proud, so B\nQ: And now?\nAnswer: C", "B"),
        # The question that was asked, said again, hides no answer.
        ("Question: And now?\nAnswer: B", "B"),
        ("Let me see.\nQuestion: And now?\nAnswer: B", "B"),
    ],
)
def test_the_answer_of_a_question_that_the_model_invents_does_not_replace_its_own(text, letter):
    assert first_option(text, FOUR) == letter


@pytest.mark.parametrize(
    ("row", "letter"),
    [
        (FOUR, None),
        ({"options": list("vwxyz")}, "E"),
        ({"choices": list("vwxyz")}, "E"),
        ({"choices": {"text": list("vwxy"), "label": list("ABCD")}}, None),
        ({"choices": {"text": list("vwxyz"), "label": list("ABCDE")}}, "E"),
        ({"options": dict.fromkeys("ABCDE", "a text")}, "E"),
        ({"options": "a text, not a list"}, "E"),
        ({"options": [], "choices": {}}, "E"),
        ({}, "E"),
    ],
)
def test_only_letters_of_the_rows_options_count(row, letter):
    assert first_option("The answer is E.", row) == letter


def test_a_letter_past_h_needs_options_that_reach_it():
    assert first_option("(J)", {}) is None
    assert first_option("(J)", {"options": list("0123456789")}) == "J"


def test_more_options_than_letters_are_refused():
    with pytest.raises(ValueError, match=r"found 27 options.*at most 26"):
        first_option("A", {"options": list(range(27))})


@given(st.text(alphabet="ABab()[]*.: \n'ansewriothy-/\\{}", max_size=60))
def test_any_letter_that_is_read_stands_in_the_text(text):
    letter = first_option(text, FOUR)
    assert letter is None or (letter in "ABCD" and letter in text.upper())


@given(st.text(max_size=60))
def test_case_of_the_result_and_range_hold_for_any_text(text):
    assert first_option(text, FOUR) in {None, *"ABCD"}


@pytest.mark.parametrize(
    "piece",
    [
        "answer to ",
        "answer is 1 ",
        "so A, ",
        "\\boxed{",
        "A ",
        "* ",
        "A is the most ",
        "1,",
        "1 ",
        "\\text{",
        " ",
        "because 1 ",
        "it would be 1 ",
        "x = 1, so 2 because ",
        "Part (a): 1 ",
        "\n",
        "9",
        "二",
        "Tom: 3\n",
        "1. B\n",
    ],
)
@pytest.mark.parametrize("name", [name for name in POSTPROCESSORS if name != "passes_tests"])  # which runs it
def test_a_flood_of_anything_is_read_in_time_that_grows_as_the_text(name, piece):
    # A pattern that goes through the rest of the text at each place would take most of a minute.
    POSTPROCESSORS[name](piece * (60_000 // len(piece)), {})


# --- numbers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("72.", "72"),
        ("#### 72", "72"),
        ("is 72.Then", "72"),
        ("72.0", "72"),
        ("72.50", "72.5"),
        ("1,234", "1234"),
        ("1 234.5", "1234.5"),
        ("1{,}234", "1234"),
        ("12,345,678.90 dollars", "12345678.9"),
        ("$1,234.50", "1234.5"),
        ("US$7", "7"),
        ("Rs.72", "72"),
        ("50%", "50"),
        ("-3", "-3"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("(-5)", "-5"),
        ("x=−4", "-4"),
        ("-0.0", "0"),
        ("007", "7"),
        (".5", "0.5"),
        ("1e5", "100000"),
        ("1.5e-3", "0.0015"),
    ],
)
def test_a_number_is_read_in_plain_digits_however_it_is_written(text, number):
    assert first_number(text, {}) == number
    assert last_number(text, {}) == number


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("3 apples and 4 pears: 7.", "3", "7"),
        ("- 5", "5", "5"),
        ("12 3456", "12", None),
        ("10 - 5", "10", None),
        ("10-5", None, None),
        ("3–5", None, None),
        ("1,2,3", None, None),
        ("2024-01-05", None, None),
        ("version 1.2.3", None, None),
    ],
)
def test_of_sums_ranges_lists_and_dates_no_part_is_taken_for_the_answer(text, first, last):
    assert (first_number(text, {}), last_number(text, {})) == (first, last)


@pytest.mark.parametrize("text", ["", "no", "H2O", "x2", "-", "."])
def test_text_without_a_number_is_unparsed(text):
    assert first_number(text, {}) is None
    assert last_number(text, {}) is None


@given(st.integers(-(10**40), 10**40), st.sampled_from(["{}", "{:,}", "= {}.", "${}", "so {:,} dollars"]))
def test_integers_of_any_size_keep_every_digit(number, template):
    assert last_number(template.format(number), {}) == str(number)


@given(st.decimals(-(10**9), 10**9, allow_nan=False, places=3))
def test_decimals_keep_their_value(number):
    read = last_number(f"The result is {number}.", {})
    assert float(read) == float(number)
    assert re.fullmatch(r"-?(0|[1-9]\d*)(\.\d*[1-9])?", read)


def test_a_huge_exponent_does_not_write_out_a_huge_number():
    assert last_number("1e999999999", {}) is None


# --- parts of the text ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        (r"\boxed{72}", "72"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{1} and \boxed{2}", "2"),
        (r"\boxed{1} and \boxed{2", "1"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"} \boxed {3} {", "3"),
        (r"\boxed{}", None),
        (r"\boxed{2", None),
        ("72", None),
    ],
)
def test_the_last_balanced_box_is_opened(text, inside):
    assert boxed(text, {}) == inside


def test_first_line_skips_blank_ones():
    assert first_line("\n  \n Paris \nLondon", {}) == "Paris"
    assert first_line(" \n", {}) is None


@pytest.mark.parametrize(
    ("text", "word"),
    [("**Yes**, it is", "Yes"), ("don't", "don't"), ("yes.no", "yes"), ("是的 好", "是的"), ("...", None)],
)
def test_first_word_comes_without_punctuation(text, word):
    assert first_word(text, {}) == word


# --- chains --------------------------------------------------------------------------------------------------------


def test_post_processors_apply_in_order():
    text = "A\nThe answer is B"
    assert apply_postprocessors(["first_line", "first_option", "lower"], text, FOUR) == "a"
    assert apply_postprocessors(["strip"], "  x ", FOUR) == "x"
    assert apply_postprocessors([], " x ", FOUR) == " x "


def test_what_one_cannot_read_stays_unread():
    assert apply_postprocessors(["boxed", "lower"], "no box", FOUR) is None


def test_an_unknown_name_is_refused_even_behind_one_that_reads_nothing():
    with pytest.raises(KeyError, match="no post-processor is named 'frist_option'; nearest: first_option"):
        apply_postprocessors(["boxed", "frist_option"], "no box", FOUR)
