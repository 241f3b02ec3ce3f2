"""What changed from one run to another, case by case: verdicts, and estimates with a test of their change.

Where both runs have the values of the same samples, the change is paired. Otherwise it is that of two independent estimates.
All tests of a comparison are corrected together by Holm's rule.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.core.estimate import Estimate
from bench.core.kind import Kind
from bench.core.page import PageRequest
from bench.core.record import Record
from bench.report.runs import Key, StoredRun, name_apart
from bench.statistics.changes import holm, independent_change, paired_change

LEVEL = 0.05
"""Chance of calling any change real where there is none, over all tests of a comparison."""
_SAME_MEAN = 1e-3  # how far the mean of the samples may be from the estimate, as a share of it


@dataclass(frozen=True)
class Change:
    """How an estimate changed.

    Attributes:
        metric: its name.
        before, after: the estimates.
        change: their difference, or of a ratio the factor; None where one of them has no value.
        is_paired: whether the samples of both are the same.
        p: probability of such a change by chance; None where it is not known.
        adjusted: the same after Holm's correction.
    """

    metric: str
    before: Estimate
    after: Estimate
    change: Estimate | None
    is_paired: bool = False
    p: float | None = None
    adjusted: float | None = None

    @property
    def is_real(self) -> bool:
        """Whether chance alone is an unlikely reason."""
        return self.adjusted is not None and self.adjusted < LEVEL

    @property
    def is_worse(self) -> bool:
        """Whether the value went to the bad side at all."""
        if self.before.value is None or self.after.value is None:
            return False
        grew = self.after.value > self.before.value
        return self.after.value != self.before.value and grew != self.after.higher_is_better


@dataclass(frozen=True)
class CaseChange:
    """A case in two runs.

    Attributes:
        key: its kind and id.
        before, after: its records; None in a run that lacks it.
        changes: of its main estimates.
        unlike: main estimates that one of two runs has no value of, with both values.
        run: name of the run that is compared.
    """

    key: Key
    before: Record | None
    after: Record | None
    changes: Sequence[Change] = ()
    unlike: Sequence[tuple[str, Estimate | None, Estimate | None]] = ()
    run: str = ""

    @property
    def flips(self) -> bool:
        """Whether its verdict is another one."""
        return (
            self.before is not None and self.after is not None and self.before.verdict != self.after.verdict
        )

    @property
    def is_regression(self) -> bool:
        """Whether it passed and does not pass now, or a main estimate got worse by more than chance."""
        if self.before is None or self.after is None:
            return False
        lost = self.before.verdict == "pass" and self.after.verdict != "pass"
        return lost or any(change.is_real and change.is_worse for change in self.changes)

    @property
    def is_better(self) -> bool:
        """Whether it passes now and did not, or a main estimate got better by more than chance."""
        if self.before is None or self.after is None:
            return False
        won = self.before.verdict != "pass" and self.after.verdict == "pass"
        return won or any(change.is_real and not change.is_worse for change in self.changes)


@dataclass(frozen=True)
class Comparison:
    """One run against others.

    Attributes:
        base: the run that the others are compared with.
        others: the others.
        names: of all of them, the base first.
        cases: of each of the others, in the order of the cases.
        surroundings: what differs in how they were run, as name, value before and value after, by name of the run.
    """

    base: StoredRun
    others: Sequence[StoredRun]
    names: Sequence[str]
    cases: Sequence[CaseChange]
    surroundings: Mapping[str, Sequence[tuple[str, str, str]]]

    @property
    def regressions(self) -> list[CaseChange]:
        """What got worse."""
        return [case for case in self.cases if case.is_regression]

    @property
    def missing(self) -> list[CaseChange]:
        """Cases that one of two runs lacks."""
        return [case for case in self.cases if case.before is None or case.after is None]

    @property
    def tests(self) -> int:
        """How many changes were tested."""
        return sum(change.p is not None for case in self.cases for change in case.changes)


def compare_runs(base: StoredRun, others: Sequence[StoredRun], kinds: Mapping[str, Kind]) -> Comparison:
    """Compare runs with a base.

    Args:
        base: the earlier run.
        others: that are held against it.
        kinds: by name.
    """
    names = name_apart([base, *others])
    cases = [
        case for run, name in zip(others, names[1:], strict=True) for case in _cases(base, run, name, kinds)
    ]
    surroundings = {name: list(_surroundings(base, run)) for run, name in zip(others, names[1:], strict=True)}
    return Comparison(base, others, names, _corrected(cases), surroundings)


def _cases(base: StoredRun, run: StoredRun, name: str, kinds: Mapping[str, Kind]) -> Iterator[CaseChange]:
    for key in dict.fromkeys([*base.records, *run.records]):
        before, after = base.records.get(key), run.records.get(key)
        changes: list[Change] = []
        unlike: list[tuple[str, Estimate | None, Estimate | None]] = []
        if before is not None and after is not None:
            kind = kinds[key[0]]
            earlier, later = kind.compared(before), kind.compared(after)
            changes = list(_changes(kind, earlier, later, (base, before), (run, after)))
            unlike = list(_unlike(earlier, later))
        yield CaseChange(key, before, after, changes, unlike, name)


def _unlike(
    earlier: Mapping[str, Estimate], later: Mapping[str, Estimate]
) -> Iterator[tuple[str, Estimate | None, Estimate | None]]:
    for metric in dict.fromkeys([*earlier, *later]):
        sides = earlier.get(metric), later.get(metric)
        if sum(side is not None and side.value is not None for side in sides) == 1:
            yield metric, *sides


def _changes(
    kind: Kind,
    earlier: Mapping[str, Estimate],
    later: Mapping[str, Estimate],
    *sides: tuple[StoredRun, Record],
) -> Iterator[Change]:
    samples: list[Mapping[str, Mapping[str, float]]] | None = None
    for metric in [name for name in later if name in earlier]:
        one, other = earlier[metric], later[metric]
        if one.value is None or other.value is None:
            yield Change(metric, one, other, None)
            continue
        if samples is None:
            samples = [kind.samples(PageRequest(run.directory, [record]), record) for run, record in sides]
        pairs = _pairs(samples[0].get(metric, {}), samples[1].get(metric, {}), one, other)
        if pairs is not None:
            change, p = paired_change(*pairs, metric=metric, unit=other.unit)
            yield Change(metric, one, other, change, True, p)
        else:
            difference, chance = independent_change(one, other)
            yield Change(metric, one, other, difference, False, chance)


def _pairs(
    before: Mapping[str, float], after: Mapping[str, float], one: Estimate, other: Estimate
) -> tuple[list[float], list[float]] | None:
    """Return the values of the same samples; None where the runs have different ones, or the estimate is not their mean."""
    if len(before) < 2 or before.keys() != after.keys():
        return None
    for values, estimate in ((before, one), (after, other)):
        mean = math.fsum(values.values()) / len(values)
        if estimate.value is None or not math.isclose(
            mean, estimate.value, rel_tol=_SAME_MEAN, abs_tol=_SAME_MEAN
        ):
            return None
    return list(before.values()), [after[key] for key in before]


def _corrected(cases: Sequence[CaseChange]) -> list[CaseChange]:
    adjusted = iter(holm([change.p for case in cases for change in case.changes if change.p is not None]))
    return [
        replace(
            case,
            changes=[
                change if change.p is None else replace(change, adjusted=next(adjusted))
                for change in case.changes
            ],
        )
        for case in cases
    ]


def _surroundings(base: StoredRun, run: StoredRun) -> Iterator[tuple[str, str, str]]:
    """Yield what differs in how two runs were made, as name and both values."""
    yield from differing_environment(base.run.get("environment"), run.run.get("environment"))
    for name in ("seed", "workers"):
        if base.run.get(name) != run.run.get(name):
            yield name, str(base.run.get(name)), str(run.run.get(name))


_OF_THE_MOMENT = ("load_average", "memory_bytes")


def differing_environment(before: object, after: object) -> Iterator[tuple[str, str, str]]:
    """Yield what differs between two environments of runs, as name and both values; of packages each by itself."""
    one = before if isinstance(before, dict) else {}
    other = after if isinstance(after, dict) else {}
    for name in dict.fromkeys([*one, *other]):
        values = one.get(name), other.get(name)
        if isinstance(values[0], dict) or isinstance(values[1], dict):
            yield from differing_environment(*values)
        elif values[0] != values[1] and name not in _OF_THE_MOMENT:
            yield str(name), str(values[0]), str(values[1])
