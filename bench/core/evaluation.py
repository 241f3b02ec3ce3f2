"""The one shell around a case's evaluation: whatever ends it is in its record, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Self, TypeVar

from bench.core.case import Case
from bench.core.doing import Teller
from bench.core.errors import ModelgateError
from bench.core.estimate import Estimate
from bench.core.places import Places
from bench.core.requirement import Requirement, required_gates
from bench.core.verdict import Outcome, Verdict, verdict_of

C = TypeVar("C", bound=Case)


@dataclass(frozen=True)
class RunContext:
    """What all cases of a run share, whatever their kind.

    Attributes:
        directory: of the run.
        scratch: shared by the workers, gone after the run.
        seed: of the run.
        device: ``cpu`` or ``cuda``.
        requirements: what ``--require`` asks for.
        places: make the paths relative in what is written for others to read.
        doing: is told what the case has come to, for those who watch the run.
    """

    directory: Path
    scratch: Path
    seed: int = 0
    device: str = "cpu"
    requirements: tuple[Requirement, ...] = ()
    places: Places = field(default_factory=Places)
    doing: Teller = field(default_factory=Teller)


class Evaluation(Generic[C]):
    """Base of the evaluations of every kind; a context manager that ends what it started.

    A kind's evaluation has methods for its steps, which the test calls in order, each inside of :meth:`recording`;
    :meth:`run` calls them all.

    Args:
        case: the case.
        context: what all cases of the run share.

    Attributes:
        record: the case's record, always valid; fields fill in as the evaluation advances.
    """

    #: Whether a requirement on a value without an interval is undecided.
    needs_interval = True

    def __init__(self, case: C, context: RunContext) -> None:
        self.case, self.context = case, context
        self.record = case.blank()
        self.resources = ExitStack()
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End what was started."""
        self.resources.close()

    def run(self) -> Outcome:
        """Evaluate the whole case.

        Raises:
            ModelgateError: what ends the case.
        """
        raise NotImplementedError

    def verdict(self) -> Verdict:
        """Evaluate the whole case; what ends it is a verdict too. For controls."""
        try:
            return self.run().verdict
        except ModelgateError as problem:
            return self.explain(problem)

    def explain(self, error: Exception) -> Verdict:
        """Return the verdict that an exception means."""
        return verdict_of(error)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Write whatever is raised into the record, on its way to pytest."""
        try:
            yield
        except Exception as error:
            self.record.output_tail = getattr(error, "output_tail", None)
            self.settle(self.explain(error))
            raise

    def settle(self, verdict: Verdict) -> None:
        """Write the verdict and the duration into the record."""
        self.record.settle(verdict)
        self.record.duration_s = time.monotonic() - self._began

    def conclude(
        self,
        gates: Mapping[str, Verdict],
        estimates: Mapping[str, Estimate],
        *,
        review: Callable[[str, Verdict], Verdict] = lambda metric, verdict: verdict,
    ) -> Outcome:
        """Return the outcome of a case and settle it: its kind's gates, and those that ``--require`` adds.

        Args:
            gates: by name; the first that is missed decides.
            estimates: what was measured, by metric.
            review: returns the verdict on a metric that ``--require`` asks for, from the one of its interval.
        """
        required = required_gates(
            self.context.requirements, self.case, estimates, needs_interval=self.needs_interval, review=review
        )
        outcome = Outcome({**gates, **required})
        self.settle(outcome.verdict)
        return outcome
