"""What ``--require KIND:[NAME.]METRIC>=N`` asks for, and the gates that it adds to a case."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.core.case import Case
from bench.core.errors import CaseProblem, UsageProblem
from bench.core.estimate import Estimate
from bench.core.gate import Limit, gate
from bench.core.registry import no_such
from bench.core.verdict import Verdict

_FORM = re.compile(
    r"(?:(?P<kind>[a-z_]+):)?(?P<what>[^<>=]+)(?P<sign>>=|<=)(?P<bound>[^<>=%]+)(?P<percent>%?)"
)
EXPECTED = (
    "expected KIND:[NAME.]METRIC>=N or <=N, such as 'reranking:mrr@10>=0.6' "
    "(quoted: > and < mean something to a shell)"
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement.

    Attributes:
        text: as it was given.
        kind: of the cases that it is asked of; None is every kind that has the metric.
        name: of the case, or of its dataset, model/dataset, task or file; None is all of them.
        metric: that is required.
        bound: in the unit of the metric; for a percentage, a fraction.
        is_percent: whether it was written with a percent sign.
        at_most: whether it is an upper limit.
    """

    text: str
    kind: str | None
    name: str | None
    metric: str
    bound: float
    is_percent: bool
    at_most: bool

    def asks(self, case: Case) -> bool:
        """Whether it is asked of a case. Controls are asked nothing: they are there to be rejected."""
        return (
            not case.is_control
            and self.kind in (None, case.kind)
            and (self.name is None or self.name in case.names)
            and self.metric in case.metrics
        )

    def limit(self, estimate: Estimate, *, needs_interval: bool) -> Limit:
        """Return the limit in the unit of the estimate.

        Raises:
            CaseProblem: a bound above 1 of a percentage, written without a percent sign.
        """
        if estimate.percent and not self.is_percent and self.bound > 1:
            raise CaseProblem(
                "task_invalid",
                f"--require {self.text}: {self.metric} is a percentage, expected a fraction or a percent sign; write "
                f"{self.bound / 100:g} or {self.bound:g}%",
            )
        unit = 100.0 if estimate.percent else 1.0
        scale = unit / 100.0 if self.is_percent else unit
        return Limit(
            bound=self.bound * scale,
            at_most=self.at_most,
            needs_interval=needs_interval,
            advice="improve what is judged, or change the requirement",
            more="evaluate more, or change the requirement",
        )


def parse_requirement(text: str, kinds: Iterable[str]) -> Requirement:
    """Return the requirement of a text.

    ``NAME:METRIC`` without a kind is understood too. Metrics have no dots, names may have.

    Raises:
        UsageProblem: another form, or a kind that there is not.
    """
    found = _FORM.fullmatch(text.strip())
    try:
        bound = float(found["bound"]) if found else math.nan
    except ValueError:
        bound = math.nan
    if found is None or not math.isfinite(bound):
        raise UsageProblem(f"--require {text}: {EXPECTED}")
    kinds = tuple(kinds)
    kind, what = found["kind"], found["what"].strip()
    if kind is not None and kind not in kinds:
        # Not a kind: the name of a case, as in `faq:rmse<=3`.
        what, kind = f"{kind}:{what}", None
    name, separator, metric = what.rpartition(":")
    if not separator:
        name, separator, metric = what.rpartition(".")
    if not metric or (separator and not name):
        raise UsageProblem(f"--require {text}: {EXPECTED}")
    return Requirement(text, kind, name or None, metric, bound, bool(found["percent"]), found["sign"] == "<=")


def check_requirements(requirements: Sequence[Requirement], cases: Sequence[Case]) -> None:
    """Refuse a requirement that is asked of no case.

    Raises:
        UsageProblem: with the nearest names.
    """
    for one in requirements:
        if any(one.asks(case) for case in cases):
            continue
        known: set[str] = set()
        for case in cases:
            if not case.is_control and one.kind in (None, case.kind):
                names = ("",) if one.name is None else tuple(f"{name}." for name in case.names)
                known |= {f"{name}{metric}" for metric in case.metrics for name in names}
        asked = one.metric if one.name is None else f"{one.name}.{one.metric}"
        what = f"metric of {'the' if one.kind is None else one.kind} cases that are run"
        raise UsageProblem(f"--require {one.text}: {no_such(what, asked, sorted(known))}")


def required_gates(
    requirements: Iterable[Requirement],
    case: Case,
    estimates: Mapping[str, Estimate],
    *,
    needs_interval: bool = True,
    review: Callable[[str, Verdict], Verdict] = lambda metric, verdict: verdict,
) -> dict[str, Verdict]:
    """Return a gate for each requirement that is asked of a case, by its text.

    A metric that is asked for and was not measured is inconclusive.

    Args:
        requirements: of the run.
        case: the case.
        estimates: what was measured, by metric.
        needs_interval: see `bench.core.gate.Limit`.
        review: returns the verdict on a metric, from the one of its interval.
    """
    gates = {}
    for one in requirements:
        if one.asks(case):
            estimate = estimates.get(one.metric) or Estimate(metric=one.metric, reason="it was not measured")
            verdict = gate(estimate, one.limit(estimate, needs_interval=needs_interval))
            gates[f"required {one.text}"] = review(one.metric, verdict)
    return gates
