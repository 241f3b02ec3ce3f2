"""A question gets the same examples in every run of one seed, the nearest next to it."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.language.retrieve import make_retriever
from bench.language.spec import Examples

TEXTS = [
    "the cat sat on the mat",
    "stock prices fell today",
    "the cat chased the mouse",
    "a recipe for onion soup",
    "the cat sat on the mat",
    "prices of onion soup",
]


def bm25_by_hand(texts: list[str], query: str) -> list[float]:
    """Scores by the formula of Lucene, k1 = 1.5 and b = 0.75."""
    documents = [text.split() for text in texts]
    mean = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        count = Counter(document)
        score = 0.0
        for word in query.split():
            having = sum(word in other for other in documents)
            idf = math.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
            score += idf * count[word] / (count[word] + 1.5 * (0.25 + 0.75 * len(document) / mean))
        scores.append(score)
    return scores


def test_zero_gives_none_and_needs_no_training_split():
    assert make_retriever(Examples(), [], seed=0).indices(3, "q") == []


@pytest.mark.parametrize(
    ("examples", "rows"),
    [
        (Examples("fixed", 2), [0, 1]),
        (Examples("fixed", 0, ids=(4, 1)), [4, 1]),
        (Examples("fixed", 2, ids=(4, 1)), [4, 1]),
    ],
)
def test_fixed_gives_the_ids_or_the_first_rows_to_every_question(examples, rows):
    retriever = make_retriever(examples, TEXTS, seed=0)
    assert retriever.indices(0, "q") == retriever.indices(7, "other") == rows


@settings(max_examples=30)
@given(st.integers(), st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_random_depends_on_seed_and_question_not_on_order_or_shard(seed, questions):
    examples = Examples("random", 3)
    texts = [str(i) for i in range(40)]
    whole = make_retriever(examples, texts, seed)
    by_question = {question: whole.indices(question, "q") for question in questions}
    shard = make_retriever(examples, texts, seed)
    for question in reversed(questions):
        rows = shard.indices(question, "q")
        assert rows == by_question[question]
        assert len(set(rows)) == 3
        assert all(0 <= row < 40 for row in rows)


def test_random_differs_between_questions_and_seeds():
    texts = [str(i) for i in range(1000)]
    draws = {
        tuple(make_retriever(Examples("random", 3), texts, seed).indices(question, "q"))
        for seed in (1, 11)
        for question in (1, 2, 12)
    }
    assert len(draws) == 6


def test_random_choice_of_a_seed_never_changes_between_versions():
    retriever = make_retriever(Examples("random", 4), [str(i) for i in range(100)], seed=7)
    assert retriever.indices(3, "q") == [99, 45, 17, 5]


def test_bm25_ranks_as_the_formula_does_with_the_nearest_first():
    query = "onion soup prices"
    scores = bm25_by_hand(TEXTS, query)
    best_first = sorted(range(len(TEXTS)), key=lambda row: (-scores[row], row))
    assert make_retriever(Examples("bm25", 3), TEXTS, seed=0).indices(0, query) == best_first[:3] == [5, 3, 1]


def test_bm25_breaks_ties_by_the_earlier_row():
    retriever = make_retriever(Examples("bm25", 2), TEXTS, seed=0)
    assert retriever.indices(0, "the cat sat on the mat") == [0, 4]
    assert make_retriever(Examples("bm25", 1), TEXTS, seed=0).indices(0, "the cat sat on the mat") == [0]
    # Enough of them that a sort which is not stable would mix them up.
    many = make_retriever(Examples("bm25", 3), ["dog", "cat"] * 100, seed=0)
    assert many.indices(0, "cat") == [1, 3, 5]


@pytest.mark.parametrize("query", ["", "...", "zzz"])
def test_bm25_falls_back_to_the_first_rows_where_nothing_matches(query):
    assert make_retriever(Examples("bm25", 2), TEXTS, seed=0).indices(0, query) == [0, 1]
    assert make_retriever(Examples("bm25", 2), ["", "!", "?"], seed=0).indices(0, query) == [0, 1]


def test_bm25_ignores_case_and_punctuation_and_reads_unspaced_scripts():
    assert make_retriever(Examples("bm25", 1), TEXTS, seed=0).indices(0, "RECIPE!") == [3]
    assert make_retriever(Examples("bm25", 1), ["我喜欢猫", "他有一只狗"], seed=0).indices(0, "狗在哪里") == [
        1
    ]


@pytest.mark.parametrize(
    ("examples", "texts", "message"),
    [
        (Examples("zero", 3), TEXTS, "found 3 examples.*expected none for retriever 'zero'"),
        (Examples("zero", 0, ids=(1,)), TEXTS, "expected none for retriever 'zero'"),
        (Examples("fixed"), TEXTS, "found 0 examples, expected at least one for retriever 'fixed'"),
        (Examples("random"), TEXTS, "found 0 examples"),
        (Examples("bm25"), TEXTS, "found 0 examples"),
        (Examples("fixed", 2), [], "found no training split, expected one with at least 2 rows"),
        (Examples("random", 2), [], "found no training split"),
        (Examples("bm25", 2), [], "found no training split"),
        (Examples("fixed", 7), TEXTS, "found 6 training rows, expected at least the 7 examples"),
        (Examples("random", 7), TEXTS, "found 6 training rows, expected at least the 7 examples"),
        (Examples("bm25", 7), TEXTS, "found 6 training rows, expected at least the 7 examples"),
        (Examples("fixed", ids=(0, 6)), TEXTS, r"found ids \[6\], expected rows 0 to 5"),
        (Examples("fixed", ids=(-1,)), TEXTS, r"found ids \[-1\], expected rows 0 to 5"),
        (Examples("fixed", ids=(1, 1)), TEXTS, "expected each row once"),
        (Examples("fixed", 3, ids=(1, 2)), TEXTS, "found count 3 with 2 ids"),
        (Examples("random", 1, ids=(1,)), TEXTS, "expected none for retriever 'random'"),
        (Examples("bm25", 1, ids=(1,)), TEXTS, "expected none for retriever 'bm25'"),
    ],
)
def test_examples_that_cannot_be_given_are_refused(examples, texts, message):
    with pytest.raises(ValueError, match=message) as refusal:
        make_retriever(examples, texts, seed=0)
    assert ";" in str(refusal.value)  # what was found and expected, then what to do
