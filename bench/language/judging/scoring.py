"""From a judge's verdicts to scores with intervals over questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bench.core.estimate import PERCENT
from bench.core.record import Score
from bench.language.grading import Graded
from bench.language.scores import summarise
from bench.metrics.text import SampleMetric
from bench.statistics.proportion import wilson_interval


@dataclass(frozen=True, slots=True)
class ValueRange:
    """What the values of a metric can be.

    Attributes:
        metric: name.
        least, most: of a value. Those from 0 to 1 are shares, which a table shows as percentages.
        higher_is_better: what "better" means.
    """

    metric: str
    least: float = 0.0
    most: float = 1.0
    higher_is_better: bool = True

    @property
    def is_share(self) -> bool:
        """Whether values are shares."""
        return (self.least, self.most) == (0.0, 1.0)

    @property
    def measure(self) -> SampleMetric:
        """The metric, for a comparison with another run."""
        worst = self.least if self.higher_is_better else self.most
        return SampleMetric(self.metric, _no_function, self.higher_is_better, self.is_share, worst)


def _no_function(answer: object, golds: object) -> float:
    raise ValueError(
        "found a metric of a judge, expected one of texts; a judge's values come from its server"
    )


def graded(
    scale: ValueRange, values: Mapping[int, Sequence[float | None]], seed: int = 0, *, unparsed: int = 0
) -> Graded:
    """Return the mean over questions, with an interval over questions.

    The value is of the verdicts that were read. The others widen the interval: the low end counts each as the least value,
    the high end as the greatest. Shares have Wilson's interval for as many answers as there are questions, which holds
    for ties and for several answers to a question too; points have a bootstrap.

    Args:
        scale: of the values.
        values: by the number of the row, of each of its answers; None for a verdict that was not read.
        seed: of the bootstrap.
        unparsed: answers that were not there, besides verdicts that were not read.
    """
    rows = list(values.values())
    n = len(rows)
    least = [_mean([scale.least if one is None else one for one in row]) for row in rows]
    most = [_mean([scale.most if one is None else one for one in row]) for row in rows]
    known = [[one for one in row if one is not None] for row in rows]
    read = [_mean(row) for row in known if row]
    worst = least if scale.higher_is_better else most
    value = _mean(read) if read else _mean(worst)
    measure = scale.measure
    score = summarise(measure, least, seed=seed)
    low, high = score.low, score.high
    if scale.is_share:
        low, high = wilson_interval(sum(least), n)[0], wilson_interval(sum(most), n)[1]
    elif least != most:
        high = summarise(measure, most, seed=seed).high
    score = msgspec.structs.replace(
        score, value=value, low=low, high=high,
        unparsed=unparsed + sum(one is None for row in rows for one in row),
    )  # fmt: skip
    if scale.is_share:
        scaled = score.scaled(100, PERCENT)
        assert isinstance(scaled, Score)
        score = scaled
    return Graded(score, worst, measure)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
