"""Verdicts and records: closed lists of words, and nothing but what any report can carry."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.case import AccelerationCase
from bench.core.errors import REASON_CODES, ArmProblem
from bench.core.record import VERDICTS, Verdict, apply_verdict, blank_record, plain_problems


def task(**fields):
    return AccelerationCase(**{"id": "hard-sd-all-1", "prompt_id": 1, "difficulty": "hard", **fields})


@pytest.mark.parametrize("words", [("passed", "passed"), ("pass", "pass"), ("pass", ""), ("FAIL", "crashed")])
def test_words_outside_the_closed_lists_are_refused(words):
    with pytest.raises(
        ValueError, match=re.escape(f"unknown verdict {words[0]!r} or reason code {words[1]!r}")
    ):
        Verdict(*words, "")
    with pytest.raises(ValueError, match="unknown reason code 'exploded'"):
        ArmProblem("exploded", "", role="candidate")


def test_every_word_of_the_lists_is_accepted_and_explained():
    for code, meaning in REASON_CODES.items():
        assert meaning
        for verdict in VERDICTS:
            Verdict(verdict, code, "")


def test_blank_record_is_plain_and_says_that_the_case_was_not_run():
    record = blank_record(task(required_speedup=2.0, max_latency_s=0.5))
    assert plain_problems(record) == []
    assert (record["verdict"], record["reason_code"], record["control"]) == ("error", "not_run", None)
    assert record["speedup"] == {"value": None, "low": None, "high": None, "required": 2.0, "rounds": 0}
    assert json.loads(json.dumps(record)) == record
    apply_verdict(record, Verdict("fail", "quality_lost", "why"))
    assert (record["verdict"], record["reason_code"], record["reason"]) == ("fail", "quality_lost", "why")
    assert blank_record(task(expect="crashed"))["control"]["expected"] == "crashed"


@pytest.mark.parametrize(
    ("verdict", "fields", "before", "after"),
    [
        ("fail", {}, None, 0.0),
        ("inconclusive", {}, None, 0.0),
        ("error", {}, None, 0.0),
        ("pass", {}, None, None),
        ("skip", {}, None, None),
        ("fail", {}, 0.7, 0.7),
        ("fail", {"difficulty": "easy"}, None, None),
        ("fail", {"required_speedup": None}, None, None),
        ("fail", {"expect": "crashed"}, None, None),
    ],
)
def test_hard_task_that_ends_without_a_measurement_has_achieved_nothing(verdict, fields, before, after):
    record = blank_record(task(**{"required_speedup": 2.0, **fields})) | {"achievement_rate": before}
    apply_verdict(record, Verdict(verdict, "crashed", "why"))
    assert record["achievement_rate"] == after


def test_verdict_holds_when_it_is_a_pass_and_cannot_be_changed():
    assert [kind for kind in VERDICTS if Verdict(kind, "passed", "").holds] == ["pass"]
    with pytest.raises(AttributeError):
        Verdict("fail", "crashed", "").verdict = "pass"


class Text(str):
    """A subclass looks like a builtin until another process has to rebuild it."""


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (np.float64(1.0), "record.a[1]: numpy.float64"),
        (np.int64(1), "record.a[1]: numpy.int64"),
        (np.bool_(True), "record.a[1]: numpy.bool"),
        (np.zeros(1), "record.a[1]: numpy.ndarray"),
        ((1, 2), "record.a[1]: builtins.tuple"),
        ({1, 2}, "record.a[1]: builtins.set"),
        (b"x", "record.a[1]: builtins.bytes"),
        (Text("x"), f"record.a[1]: {__name__}.Text"),
        (math.nan, "record.a[1]: nan"),
        (-math.inf, "record.a[1]: -inf"),
        ("half \ud800", "record.a[1]: 'half \\ud800' is no valid text"),
        ({"b": (1,)}, "record.a[1].b: builtins.tuple"),
        ({7: 1}, "record.a[1]: key 7"),
        ({"\udfff": 1}, "record.a[1]: key: '\\udfff' is no valid text"),
    ],
)
def test_everything_that_a_report_cannot_carry_is_found_with_its_place(value, problem):
    assert plain_problems({"a": [1.5, value], "b": None, "c": True}) == [problem]


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    )
)
def test_plain_values_have_no_problems_and_survive_json(value):
    assert plain_problems(value) == []
    assert json.loads(json.dumps(value, allow_nan=False)) == value
