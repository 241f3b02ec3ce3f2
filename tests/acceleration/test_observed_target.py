"""Where the target is the baseline, one arm shows both; elsewhere the target is observed on its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from records import case

from bench.acceleration.case import AccelerationCase
from bench.acceleration.configuration import Configuration
from bench.acceleration.observed_target import observe_baseline, observe_target
from bench.acceleration.prompts import Sample
from bench.acceleration.references import Target
from bench.core.errors import ArmProblem

FIRST, SECRET = [Sample("a", 1)], [Sample("b", 2)]
OWN, OTHER = Configuration(pipeline_class="Own"), Configuration(pipeline_class="Other")


class Steps:
    """Stands for a pair and for the references, and keeps the order of what is asked of them."""

    def __init__(self, problem: ArmProblem | None = None) -> None:
        self.taken: list[tuple[object, ...]] = []
        self._problem = problem

    def are_the_same(self, file: Path, other: Path) -> bool:
        return file == other

    def paces(self, file: Path, samples: list[Sample], name: str) -> dict[int, float]:
        self.taken.append(("paces", file.name))
        return {1: 1.0, 2: 2.0}

    def target_observed(self, file: Path, samples: list[Sample], name: str, secret: list[Sample]) -> Target:
        self.taken.append(("observed", file.name, secret))
        self._fail()
        return Target(OTHER, {1: 3.0})

    def compute_as_fast_as(self, paces: dict[int, float], *, is_latency_limited: bool) -> None:
        self.taken.append(("threads", paces, is_latency_limited))

    def load(self, role: str, file: Path) -> Configuration:
        self.taken.append(("load", role, file.name))
        self._fail()
        return OWN

    def _fail(self) -> None:
        if self._problem is not None:
            raise self._problem


def of(target: str, **fields: object) -> AccelerationCase:
    return case(target_file=Path(target), baseline_file=Path("baseline.py"), **fields)


def ask(steps: Steps, asked: AccelerationCase) -> tuple[Configuration, Configuration]:
    target = observe_target(asked, steps, steps, FIRST, lambda: SECRET, ())  # type: ignore[arg-type]
    return target, observe_baseline(asked, steps, steps, target)  # type: ignore[arg-type]


def test_a_target_that_is_the_baseline_is_loaded_once() -> None:
    steps = Steps()
    assert ask(steps, of("baseline.py")) == (OWN, OWN)
    assert steps.taken == [
        ("paces", "baseline.py"),
        ("threads", {1: 1.0, 2: 2.0}, False),
        ("load", "baseline", "baseline.py"),
    ]


def test_another_target_is_observed_with_its_images_and_the_baseline_is_loaded_later() -> None:
    steps = Steps()
    assert ask(steps, of("target.py")) == (OTHER, OWN)
    assert steps.taken == [
        ("observed", "target.py", SECRET),
        ("threads", {1: 3.0}, False),
        ("load", "baseline", "baseline.py"),
    ]


@pytest.mark.parametrize("target", ["baseline.py", "target.py"])
def test_a_limit_of_seconds_is_passed_on(target: str) -> None:
    steps = Steps()
    ask(steps, of(target, max_latency_s=2.0))
    assert [taken[2] for taken in steps.taken if taken[0] == "threads"] == [True]


@pytest.mark.parametrize(("target", "role"), [("baseline.py", "baseline"), ("target.py", "target")])
def test_the_file_that_fails_is_named(target: str, role: str) -> None:
    steps = Steps(ArmProblem("load_failed", "the file raised", role=role, is_of_file=True))
    with pytest.raises(ArmProblem, match=f"the candidate was not judged; fix the {role}$") as found:
        ask(steps, of(target))
    assert (found.value.reason_code, found.value.role) == ("reference_failed", role)
