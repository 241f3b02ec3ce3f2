"""The plan of a process: cases made when they are first asked for, and nothing that was asked for is ignored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from toys import ToyOptions, toy_kind

from bench.core.case import Case
from bench.core.errors import UsageProblem
from bench.core.kind import Kind
from bench.core.options import Setting
from bench.core.requirement import parse_requirement
from bench.run.options import RunOptions
from bench.run.plan import Plan


@dataclass(frozen=True, slots=True)
class OtherCase(Case):
    kind: ClassVar[str] = "other"


def plan(options=None, flags=None, shared=None, requirements=()):
    made = []
    kind = toy_kind(made)
    other = Kind(
        name="other", options=ToyOptions, make_cases=lambda options, setting: [OtherCase("one")],
        evaluation=kind.evaluation, table=kind.table,
    )  # fmt: skip
    setting = Setting(run=RunOptions(), given=frozenset(), directory=Path("/"), workers=1)
    parsed = [parse_requirement(text, ("toy", "other")) for text in requirements]
    kinds = {"toy": kind, "other": other}
    made_plan = Plan(kinds, lambda _: (options or ToyOptions(), setting), flags or {}, shared or {}, parsed)
    return made_plan, kind, made


def test_cases_are_made_once_and_only_when_they_are_asked_for():
    found, kind, made = plan()
    assert made == []
    assert [case.id for case in found.cases(kind)] == ["toy-0", "toy-1"]
    assert found.cases(kind) is found.cases(kind)
    assert len(made) == 1
    assert found.hints() == ["play more"]


def test_options_that_cannot_be_used_are_raised_when_collection_is_complete():
    found, kind, _ = plan(ToyOptions(toys=-1))
    assert found.cases(kind) == []
    with pytest.raises(UsageProblem, match="--toys -1"):
        found.check([])


def test_an_option_of_a_kind_that_is_not_run_is_refused():
    found, kind, _ = plan(flags={"toy": {"toys": "--toys"}})
    found.check(found.cases(kind))
    with pytest.raises(
        UsageProblem, match=r"--toys: applies to toy cases, and none of them is run; .*cases/test_toy\.py"
    ):
        found.check([OtherCase("one")])


def test_a_shared_option_that_no_kind_of_the_run_uses_is_refused():
    found, kind, _ = plan(shared={"tables": "--tables"})
    found.check(found.cases(kind))
    with pytest.raises(UsageProblem, match="--tables: applies to toy cases"):
        found.check([OtherCase("one")])


def test_a_gate_that_names_nothing_that_is_run_is_refused():
    found, kind, _ = plan(ToyOptions(min_fun={"toy-1": 1.0}))
    cases = found.cases(kind)
    found.check(cases)
    with pytest.raises(UsageProblem, match="--min-fun toy-1: names no case"):
        found.check(cases[:1])


def test_a_requirement_that_is_asked_of_nothing_is_refused():
    found, kind, _ = plan(requirements=["toy:fun>=0.5"])
    found.check(found.cases(kind))
    for selected in ([OtherCase("one")], []):
        with pytest.raises(UsageProblem, match=r"--require toy:fun>=0\.5"):
            found.check(selected)


def test_a_run_without_cases_and_options_is_nobodys_business():
    plan()[0].check([])
