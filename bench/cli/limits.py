"""The limits that ``judge --metric`` asks for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

_METRIC = re.compile(
    r"(?P<name>[A-Za-z_][\w@.]*)(?P<sign>>=|<=)(?P<bound>[-+.\deE]+)(?P<percent>%?)", re.ASCII
)


class JudgeProblem(Exception):
    """What cannot be judged as it was given; the message says what was found, what was expected and what to do."""


@dataclass(frozen=True)
class MetricLimit:
    """A bound of a metric; of a percentage it is a fraction.

    Attributes:
        metric: its name.
        bound: of its value.
        at_most: whether it is an upper one.
    """

    metric: str
    bound: float
    at_most: bool

    @property
    def requirement(self) -> str:
        """The same as a value of pytest's ``--require``, without a digit less."""
        return f"acceleration:{self.metric}{'<=' if self.at_most else '>='}{self.bound!r}"


def read_limits(texts: Sequence[str]) -> list[MetricLimit]:
    """Return what texts such as ``ms_ssim>=0.9`` ask for, in their order.

    Raises:
        JudgeProblem: a metric without a bound, or with two bounds of the same side.
    """
    limits: list[MetricLimit] = []
    for text in texts:
        found = _METRIC.fullmatch(text.replace(" ", ""))
        bound = math.nan if found is None else _number(found["bound"])
        if found is None or not math.isfinite(bound):
            raise JudgeProblem(
                f"--metric {text}: expected a metric with a bound, such as 'ms_ssim>=0.9'; quote it, since > and < mean "
                "something to a shell"
            )
        limit = MetricLimit(found["name"], bound / (100 if found["percent"] else 1), found["sign"] == "<=")
        if any((one.metric, one.at_most) == (limit.metric, limit.at_most) for one in limits):
            raise JudgeProblem(
                f"--metric {text}: found another {found['sign']} bound of {limit.metric}, expected one; leave one out"
            )
        limits.append(limit)
    return limits


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
