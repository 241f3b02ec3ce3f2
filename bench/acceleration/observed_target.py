"""What the target and the baseline of a case are, and with how many threads both arms compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.acceleration.case import AccelerationCase
from bench.acceleration.configuration import Configuration
from bench.acceleration.pair import Pair
from bench.acceleration.prompts import Sample
from bench.acceleration.references import References, as_reference_failure
from bench.core.requirement import Requirement


def observe_target(
    case: AccelerationCase,
    pair: Pair,
    references: References,
    first: list[Sample],
    secret: Callable[[], Sequence[Sample]],
    requirements: Sequence[Requirement],
) -> Configuration:
    """Return the configuration of a case's target, and choose the compute threads of the pair by its pace.

    Where the target is the baseline, the arm that will be timed shows it, so that the pipeline is loaded once.

    Args:
        case: with all its files.
        pair: whose arms are not started yet; the baseline may be afterwards.
        references: what the run makes once.
        first: samples of the first call.
        secret: gives samples that nobody knew before the run; asked for where the target is another file.
        requirements: of the run.

    Raises:
        ArmProblem: when the target cannot be loaded or run.
    """
    assert case.target_file is not None, "a case without a problem has all its files"
    is_limited = case.max_latency_s is not None or any(
        one.metric == "latency_s" and one.asks(case) for one in requirements
    )
    if is_baseline(case, references):
        with as_reference_failure("baseline"):
            paces = references.paces(case.target_file, first, case.id)
            pair.compute_as_fast_as(paces, is_latency_limited=is_limited)
            return pair.load("baseline", case.baseline_file)
    with as_reference_failure("target"):
        seen = references.target_observed(case.target_file, first, case.id, secret())
    pair.compute_as_fast_as(seen.paces, is_latency_limited=is_limited)
    return seen.configuration


def observe_baseline(
    case: AccelerationCase, pair: Pair, references: References, target: Configuration
) -> Configuration:
    """Return the configuration of a case's baseline, which is loaded unless its target was.

    Raises:
        ArmProblem: when the baseline cannot be loaded or run.
    """
    if is_baseline(case, references):
        return target
    with as_reference_failure("baseline"):
        return pair.load("baseline", case.baseline_file)


def is_baseline(case: AccelerationCase, references: References) -> bool:
    """Whether the target and the baseline of a case are one pipeline."""
    assert case.target_file is not None, "a case without a problem has all its files"
    assert case.baseline_file is not None, "a case without a problem has all its files"
    return references.are_the_same(case.target_file, case.baseline_file)
