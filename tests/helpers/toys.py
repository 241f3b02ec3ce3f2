"""A toy kind of case, for tests of what all kinds share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from bench.core.case import Case
from bench.core.errors import UsageProblem
from bench.core.evaluation import Evaluation
from bench.core.kind import Finish, Kind, Section
from bench.core.options import Setting, option
from bench.core.record import Body, Json, Record
from bench.core.verdict import Verdict
from bench.report.results import control_note

CODES = {"pass": "passed", "fail": "score_missed", "inconclusive": "score_undecided", "error": "crashed"}


@dataclass(frozen=True)
class ToyOptions:
    """Options of the toy kind."""

    toys: int = option("how many", 2)
    min_fun: dict[str, float] = option("required fun", {})


class ToyBody(Body, kw_only=True):
    """What only toys have."""

    colour: str | None = None
    fun: float | None = None


@dataclass(frozen=True, slots=True)
class ToyCase(Case):
    """A toy: is it fun?"""

    kind: ClassVar[str] = "toy"
    colour: str = "red"

    def body(self) -> Body:
        """Return its colour, and fun as not known yet."""
        return ToyBody(colour=self.colour)


def make_cases(options: ToyOptions, setting: Setting) -> list[ToyCase]:
    """Return as many toys as are asked for."""
    if options.toys < 0:
        raise UsageProblem("--toys -1: expected at least 0")
    return [ToyCase(f"toy-{number}", order=number, metrics=("fun",)) for number in range(options.toys)]


def check(options: ToyOptions, cases: Sequence[Case]) -> None:
    """Refuse required fun of a toy that is not there."""
    for name in options.min_fun:
        if name not in {case.id for case in cases}:
            raise UsageProblem(f"--min-fun {name}: names no case that is run")


def table(finish: Finish) -> Section:
    """Return a row per toy."""
    rows = [("toy", "verdict"), *((record.id, record.verdict) for record in finish.records)]
    return Section("toy", rows, control_note(finish.records))


def summarize(records: Sequence[Record]) -> Json:
    """Count the red ones."""
    return {"red": sum(record.body.colour == "red" for record in records)}


def toy_kind(made: list[Any] | None = None, **fields: Any) -> Kind:
    """Return the toy kind; `made` takes the options of each call of `make_cases`."""

    def noted(options: ToyOptions, setting: Setting) -> list[ToyCase]:
        if made is not None:
            made.append(options)
        return make_cases(options, setting)

    standard: dict[str, Callable[..., Any] | Any] = {
        "name": "toy", "options": ToyOptions, "make_cases": noted, "check": check, "body": ToyBody,
        "evaluation": lambda case, context, resources: Evaluation(case, context), "table": table,
        "summarize": summarize, "shared": ("tables",), "hints": lambda options, setting: ["play more"],
        "headline": lambda record: "" if record.body.fun is None else f"fun {record.body.fun:g}",
    }  # fmt: skip
    return Kind(**{**standard, **fields})


def record(verdict: str = "pass", number: int = 1, reason: str = "because", **fields: Any) -> Record:
    """Return the record of a toy with this verdict."""
    made = ToyCase(f"toy-{number}", order=number, **fields).blank()
    made.apply(Verdict(verdict, CODES.get(verdict, "skipped"), reason))
    return made
