"""Records: typed in the code, plain on the wire, the same keys whatever happened."""

import json
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.case import Case
from bench.core.estimate import Estimate
from bench.core.record import Body, Record, Score, plain_problems
from bench.core.verdict import Verdict


class ToyBody(Body, kw_only=True):
    toy: str | None = None
    pieces: dict[str, int] | None = None

    def settled(self, record):
        if record.verdict == "fail":
            record.achievement_rate = 0.0


@dataclass(frozen=True, slots=True)
class ToyCase(Case):
    kind: ClassVar[str] = "toy"

    def body(self):
        return ToyBody(toy="duck")


def test_blank_record_is_plain_and_says_that_the_case_was_not_run():
    record = ToyCase("duck", order=3).blank()
    plain = record.to_json()
    assert plain_problems(plain) == []
    assert json.loads(json.dumps(plain)) == plain
    assert (plain["verdict"], plain["reason_code"], plain["control"]) == ("error", "not_run", None)
    assert (plain["id"], plain["kind"], plain["order"], plain["toy"], plain["pieces"]) == (
        "duck",
        "toy",
        3,
        "duck",
        None,
    )
    assert record.is_undecided


def test_keys_of_the_body_stand_beside_the_common_ones_and_come_back():
    record = ToyCase("duck").blank()
    record.body.pieces = {"wings": 2}
    record.score = Score(metric="fun", value=0.5, low=0.4, high=0.6, n=10, unparsed=1)
    record.metrics = {"fun": Estimate(metric="fun", value=50.0, unit="%")}
    plain = record.to_json()
    assert plain["pieces"] == {"wings": 2}
    assert plain["metrics"]["fun"]["percent"] is True
    again = Record.from_json(json.loads(json.dumps({**plain, "unknown": 1})), ToyBody)
    assert again == record


def test_a_verdict_may_imply_something_for_its_kind():
    record = ToyCase("duck").blank()
    record.settle(Verdict("fail", "score_missed", "why"))
    assert (record.verdict, record.reason_code, record.reason) == ("fail", "score_missed", "why")
    assert record.achievement_rate == 0.0


def test_a_control_keeps_what_was_found_and_passes_when_that_was_expected():
    record = ToyCase("duck", expect="score_missed").blank()
    record.settle(Verdict("fail", "score_missed", "why"))
    assert (record.verdict, record.reason_code) == ("pass", "rejected_as_expected")
    assert (record.control.verdict, record.control.reason_code, record.control.reason) == (
        "fail",
        "score_missed",
        "why",
    )
    other = ToyCase("duck", expect="crashed").blank()
    other.settle(Verdict("fail", "score_missed", "why"))
    assert (other.verdict, other.reason_code) == ("fail", "not_rejected")


@pytest.mark.parametrize("value", [np.float64(1.0), np.int64(1), np.zeros(1)])
def test_a_value_that_json_cannot_hold_is_refused_where_the_record_becomes_plain(value):
    record = ToyCase("duck").blank()
    record.data = {"a": value}
    with pytest.raises(TypeError, match="numpy"):
        record.to_json()


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
