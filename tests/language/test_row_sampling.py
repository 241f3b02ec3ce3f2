"""What --limit leaves: a seeded sample in which each group has its share, and that only grows with the limit."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest

from bench.language.sampling import draw, drawing_order

SUBJECTS = [("law", 600), ("art", 300), ("chess", 90), ("tax", 10)]
ROWS = [{"q": f"{subject} {i}", "subject": subject} for subject, count in SUBJECTS for i in range(count)]


def sampled(rows, limit, seed=0, group="subject"):
    return [rows[number]["q"] for number in draw(rows, limit, seed, group).numbers]


@pytest.mark.parametrize("limit", [10, 37, 100, 500, 990])
def test_each_subject_has_its_share(limit):
    counts = Counter(text.split()[0] for text in sampled(ROWS, limit))
    for subject, size in SUBJECTS:
        assert abs(counts[subject] - limit * size / len(ROWS)) < 2
    assert sum(counts.values()) == limit


def test_the_head_of_a_sorted_file_is_not_the_sample():
    plain = draw(ROWS, 100, 0, None)
    assert list(plain.numbers) != list(range(100))
    assert max(plain.numbers) > 700
    assert list(plain.numbers) == sorted(set(plain.numbers))
    assert (plain.record.by, plain.record.groups) == (None, None)


@pytest.mark.parametrize("group", [None, "subject"])
def test_a_smaller_sample_is_a_part_of_a_larger_one_under_the_same_seed(group):
    samples = [set(sampled(ROWS, limit, 3, group)) for limit in (1, 5, 50, 51, 400, 1000)]
    assert all(one < other for one, other in pairwise(samples))
    assert set(sampled(ROWS, 50, 4, group)) != samples[2]


def test_the_sample_does_not_depend_on_the_order_of_the_file():
    mixed = random.Random(1).sample(ROWS, len(ROWS))
    assert set(sampled(mixed, 80)) == set(sampled(ROWS, 80))


def test_equal_rows_are_rows_of_their_own():
    rows = [{"q": "same", "subject": "law"}] * 10
    assert len(draw(rows, 4, 0, None).numbers) == 4
    assert sorted(drawing_order(rows, None, 0)) == list(range(10))


def test_every_row_is_drawn_as_often_as_any_other():
    rows = [{"q": i, "g": "a" if i < 6 else "b"} for i in range(9)]
    counts = Counter(number for seed in range(3000) for number in draw(rows, 3, seed, "g").numbers)
    assert all(
        850 < counts[number] < 1150 for number in range(9)
    )  # 1000 expected, 26 is a standard deviation


def test_what_was_drawn_is_said_and_all_rows_are_no_sample():
    record = draw(ROWS, 100, 5, "subject").record
    assert (record.rows, record.of, record.seed, record.by, record.groups) == (100, 1000, 5, "subject", 4)
    for limit in (None, 1000, 2000):
        everything = draw(ROWS, limit, 5, "subject")
        assert (list(everything.numbers), everything.record) == (list(range(1000)), None)


def test_rows_without_the_group_are_drawn_without_it_and_a_reader_is_told():
    drawn = draw([*ROWS, {"q": "x"}], 10, 0, "subject")
    assert drawn.record.by is None
    assert "not stratified: some rows have no field 'subject'" in drawn.note
