"""Ids of documents and queries: texts of any length and script, each in the room that it needs."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from bench.metrics.ranking import evaluate, rank, rank_2d
from bench.metrics.ranking.inputs import codes_of, labels_of
from bench.metrics.ranking.trec import flatten

TEXTS = ["b", "a", "", "é", "z" * 3000, "a\0", "\U0001f600", "文", "B", "b", "~"]


@pytest.mark.parametrize("more", [[], ["\ud800"]], ids=["whole", "half_a_character"])
def test_codes_of_texts_are_ordered_by_code_point(more):
    texts = TEXTS + more
    codes = codes_of(labels_of(texts, "documents"))
    places = {text: place for place, text in enumerate(sorted(set(texts)))}
    assert codes.tolist() == [places[text] for text in texts]
    assert codes_of(labels_of(np.array(TEXTS[:2]), "documents")).tolist() == [1, 0]


def test_one_long_id_among_many_takes_no_room_of_the_others():
    """One id of 3,000 characters among 40,001: as an array of fixed width these are 480 MB."""
    ids = [f"d{number}" for number in range(40_000)] + ["x" * 3000]
    run = {"q": dict.fromkeys(ids, 1.0), "x" * 3000: {"d1": 1.0}}
    tracemalloc.start()
    flat = flatten(run, {"q": {"d1": 1}})
    ranked = rank(**vars(flat), ties="docid_desc")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000
    assert [flat.documents[row] for row in ranked.order[:2]] == ["x" * 3000, "d9999"]
    assert ranked.queries.tolist() == ["q", "x" * 3000]


def test_rows_of_texts_are_ids_too():
    documents = [["a", "x" * 500], ["b", "a"]]
    ranked = rank_2d([[1.0, 1.0], [2.0, 1.0]], [[1, 0], [0, 1]], documents=documents, ties="docid_desc")
    assert ranked.order.tolist() == [1, 0, 2, 3]
    padded = rank_2d(
        [[1.0, 1.0], [2.0, 1.0]], [[1, 0], [1, 0]], mask=[[True, True], [True, False]],
        documents=[["a", "b"], ["a", None]], ties="docid_desc",
    )  # fmt: skip
    assert padded.order.tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("documents", "named"),
    [(["x" * 40, "y", "x" * 40], "x" * 40), (["\ud800", "a", "\ud800"], "\ud800"), ([3, 9, 3], 3)],
)
def test_a_duplicate_is_named_whatever_its_form(documents, named):
    with pytest.raises(ValueError, match="twice in query 0") as raised:
        rank([1.0, 2, 3], [1, 0, 0], offsets=[0, 3], documents=documents)
    assert f"found document {named!r} twice" in str(raised.value)


def test_a_duplicate_is_found_where_ids_ascend_over_the_end_of_a_list():
    """Lists whose ids ascend need no closer look; an equal one at the border of two lists is no duplicate."""
    rank([1.0, 2, 3, 4], [1, 0, 0, 0], offsets=[0, 0, 2, 2, 4, 4], documents=[1, 2, 2, 3])
    with pytest.raises(ValueError, match="document 2 twice in query 1"):
        rank([1.0, 2, 3, 4], [1, 0, 0, 0], offsets=[0, 2, 4], documents=[1, 2, 2, 2])


def test_query_ids_of_any_length_are_joined_by_name():
    names = ["q" * 900, "é", "q"]
    ranked = rank(
        [1.0, 2, 3, 4], [1, 0, 1, 0], query_ids=[names[1], names[0], names[1], names[2]], queries=names
    )
    assert ranked.queries.tolist() == names
    assert ranked.lengths.tolist() == [1, 2, 1]
    assert evaluate(ranked, ["recall"], [1]).queries.tolist() == ["é"]
    with pytest.raises(ValueError, match="query 'é' twice in queries"):
        rank([1.0], [1], query_ids=["é"], queries=["é", "q", "é"])
    with pytest.raises(ValueError, match="a candidate of query 'other', expected one of the 1 names"):
        rank([1.0], [1], query_ids=["other"], queries=["q"])


def test_large_integers_of_both_signs_are_not_mixed_up():
    """As floats the two names would be one."""
    names = np.array([2**62, 2**62 + 1], np.uint64)
    ranked = rank([1.0, 2.0], [1, 0], query_ids=np.array([2**62 + 1, 2**62], np.int64), queries=names)
    assert ranked.order.tolist() == [1, 0]
