"""What a dataset's answers are worth together, how sure that is, and whether another run's are worth less.

Scores are computed from values per sample, which a record keeps, without the model.

The interval of a share of right answers is Wilson's (1927, Journal of the American Statistical Association
22:209). Every other one is a bootstrap over samples, at the quantile levels of Hesterberg (2015, The American
Statistician 69:371): percentiles by themselves are too short for few samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.metrics.text import (
    METRICS,
    CorpusMetric,
    Golds,
    GroupMetric,
    Metric,
    Prediction,
    SampleMetric,
    accuracy,
    check_lengths,
)
from bench.statistics.paired_times import expanded_tail

Floats = NDArray[np.float64]

# With these the ends of an interval move by about a hundredth of its length from one seed to the next.
RESAMPLES = 5_000
_BLOCK_ELEMENTS = 200_000  # resampled values held at once: they stay in the processor's cache


@dataclass(frozen=True)
class Score:
    """What the answers to a dataset are worth together.

    Attributes:
        metric: name in `METRICS`.
        value: in the metric's own unit: a share of 1, BLEU points, a perplexity.
        n: samples; questions for a metric that groups them.
        unparsed: how many of the n could not be read, with the worst value for each.
        stderr: standard error of `value`, None where one sample leaves it open.
        low, high: two-sided interval at level `confidence`, None where one sample leaves it open.
        confidence: as a fraction.
    """

    metric: str
    value: float
    n: int
    unparsed: int
    stderr: float | None
    low: float | None
    high: float | None
    confidence: float


def evaluate(
    metric: str,
    predictions: Sequence[Prediction],
    golds: Sequence[Golds],
    *,
    groups: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[list[Any], Score]:
    """Return the values to keep and the score of a dataset's answers.

    Args:
        metric: name in `METRICS`.
        predictions: answers, shape (samples,); None for one that could not be read.
        golds: right answers of each sample, shape (samples,), at least one each.
        groups: which question each sample asks, shape (samples,); for a `GroupMetric` only.

    Returns:
        Values, shape (samples,), of a `CorpusMetric` (samples, statistics), of a `GroupMetric` (questions,).

    Raises:
        KeyError: an unknown metric.
        ValueError: no samples, unequal lengths, groups where the metric takes none or the other way round,
            or a sample that the metric cannot score.
    """
    how = METRICS[metric]
    check_lengths(predictions, "predictions", golds, "lists of right answers")
    if groups is None and isinstance(how, GroupMetric):
        raise ValueError(
            f"found no groups for metric {metric!r}, expected the question that each sample asks"
        )
    if groups is not None and not isinstance(how, GroupMetric):
        raise ValueError(
            f"found groups for metric {metric!r}, expected none: answers to one question are no independent "
            "samples; name circular_accuracy, or leave the groups out"
        )
    each: Callable[[Prediction, Golds], Any] = how.statistics if isinstance(how, CorpusMetric) else how
    values: list[Any] = [
        each(prediction, right) for prediction, right in zip(predictions, golds, strict=True)
    ]
    unparsed = sum(prediction is None for prediction in predictions)
    if isinstance(how, GroupMetric) and groups is not None:
        values = list(how.grouped(values, groups).values())
        unparsed = len(
            {group for group, prediction in zip(groups, predictions, strict=True) if prediction is None}
        )
    return values, summarise(how, values, unparsed=unparsed, confidence=confidence, seed=seed)


def summarise(
    metric: str | Metric,
    values: ArrayLike,
    *,
    unparsed: int = 0,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Score:
    """Return the score of a dataset with its standard error and interval.

    Args:
        metric: name in `METRICS`, or the metric itself.
        values: of samples or questions, shape (n,); statistics of a `CorpusMetric`, shape (n, statistics).
        unparsed: how many of them stand for an answer that could not be read.
        seed: of the bootstrap; the same values and seed give the same interval.

    The standard error of a mean is that of the sample, with n - 1; of a corpus score, that of the bootstrap.

    Raises:
        KeyError: an unknown metric.
        ValueError: no samples, values of another shape, not finite, or not 0 or 1 where only these can be;
            more unparsed answers than samples; a level that is none.
    """
    how = METRICS[metric] if isinstance(metric, str) else metric
    rows = _rows(how, values, "values")
    n = len(rows)
    if not 0 <= unparsed <= n:
        raise ValueError(f"found {unparsed} unparsed answers of {n}, expected between none and all")
    _check_confidence(confidence)
    value = _combined(how, rows.sum(axis=0), n)
    stderr, low, high = None, None, None
    if n > 1 and isinstance(how, SampleMetric):
        stderr = float(rows.std(ddof=1)) / math.sqrt(n)
    if isinstance(how, SampleMetric) and how.proportion:
        low, high = wilson_interval(int(rows.sum()), n, confidence=confidence)
    elif n > 1:
        draws = np.array([_combined(how, totals, n) for totals in _resampled_totals(rows, resamples, seed)])
        low, high = _percentiles(draws, n, (1 - confidence) / 2)
        if stderr is None:
            stderr = float(draws.std(ddof=1))
    return Score(how.name, value, n, unparsed, stderr, low, high, confidence)


def wilson_interval(successes: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's two-sided score interval of a share, without continuity correction.

    It stays within [0, 1] and keeps a length where all answers are right or all wrong.

    Raises:
        ValueError: n under 1, or successes that are not between 0 and n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"found {successes} successes of {n}, expected between none and all of at least one")
    _check_confidence(confidence)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # Rounding alone would leave the ends a little beside 0 and 1.
    low = 0.0 if successes == 0 else centre - reach
    high = 1.0 if successes == n else centre + reach
    return low, high


# --- another run on the same samples ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """How much better a run is than another one on the same samples.

    Attributes:
        difference: in the metric's unit, above 0 where the run is better, whichever way "better" is.
        low, high: bounds of the difference, each one-sided at level `confidence`.
        margin: how much worse is still good enough, in the metric's unit.
        n: samples, or questions.
        confidence: as a fraction.
    """

    difference: float
    low: float
    high: float
    margin: float
    n: int
    confidence: float

    @property
    def verdict(self) -> Literal["pass", "fail", "inconclusive"]:
        """Whether the run is at most `margin` worse: pass if all of the interval says so, fail if none of it."""
        if self.low >= -self.margin:
            return "pass"
        return "fail" if self.high < -self.margin else "inconclusive"


def not_worse(
    metric: str | Metric,
    values: ArrayLike,
    reference_values: ArrayLike,
    margin: float,
    *,
    seed: int = 0,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Return how much better a run is than a stored one, by a paired bootstrap over the samples.

    A sample is drawn with its values of both runs, so that a hard one counts in both or in neither. Runs that
    agree on every sample differ by 0 for sure. The chance to pass a run that is worse by just over `margin` is
    1 - `confidence`.

    Args:
        metric: name in `METRICS`, or the metric itself.
        values, reference_values: as for `summarise`; entry i of both is the same sample.
        margin: how much worse is still good enough, in the metric's unit: 0.01 is one point of accuracy.

    Raises:
        KeyError: an unknown metric.
        ValueError: values as for `summarise`, unequal lengths, fewer than two samples, a margin under 0.
    """
    how = METRICS[metric] if isinstance(metric, str) else metric
    rows, reference = _rows(how, values, "values"), _rows(how, reference_values, "reference values")
    check_lengths(rows, "values", reference, "reference values")
    n, width = rows.shape
    if n < 2:
        raise ValueError(f"found {n} sample, expected at least two; one says nothing of the scatter")
    if not 0 <= margin < math.inf:
        raise ValueError(f"found a margin of {margin:g}, expected a finite one of at least 0")
    _check_confidence(confidence)

    def gain(totals: Floats) -> float:
        change = _combined(how, totals[:width], n) - _combined(how, totals[width:], n)
        return change if how.higher_is_better else -change

    both = np.concatenate([rows, reference], axis=1)
    draws = np.array([gain(totals) for totals in _resampled_totals(both, resamples, seed)])
    low, high = _percentiles(draws, n, 1 - confidence)
    return Comparison(gain(both.sum(axis=0)), low, high, margin, n, confidence)


def mcnemar_p(correct: ArrayLike, reference_correct: ArrayLike) -> float:
    """Return the two-sided p-value of McNemar's exact test of two runs on the same samples.

    The chance that the samples on which only one run is right would split at least this unevenly if both runs
    were as good; 1 where there are none. Source: McNemar 1947, with the binomial distribution.

    Args:
        correct, reference_correct: 0 or 1, shape (samples,); entry i of both is the same sample.

    Raises:
        ValueError: no samples, unequal lengths, or values that are not 0 or 1.
    """
    from scipy.special import bdtr  # noqa: PLC0415  a worker that compares nothing need not load scipy

    rows, reference = (
        _rows(accuracy, correct, "values"),
        _rows(accuracy, reference_correct, "reference values"),
    )
    check_lengths(rows, "values", reference, "reference values")
    gained, lost = int((rows > reference).sum()), int((rows < reference).sum())
    return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5)))


# --- resampling and checks -------------------------------------------------------------------------------------


def _combined(metric: Metric, totals: Floats, n: int) -> float:
    """Return the score of n samples from the totals of their values, shape (statistics,)."""
    if isinstance(metric, CorpusMetric):
        return metric.combine(totals.tolist())
    return float(totals[0]) / n


def _resampled_totals(rows: Floats, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield the totals, shape (statistics,), of `resamples` draws of n rows with replacement."""
    rng = np.random.default_rng(seed)
    block = max(_BLOCK_ELEMENTS // rows.size, 1)
    for done in range(0, resamples, block):
        index = rng.integers(0, len(rows), size=(min(block, resamples - done), len(rows)))
        yield from rows[index].sum(axis=1)


def _percentiles(draws: Floats, n: int, tail: float) -> tuple[float, float]:
    """Return the quantiles of the draws that leave out `tail` on either side, further out for few samples."""
    level = expanded_tail(n, tail)
    low, high = np.quantile(draws, (level, 1 - level)).tolist()
    return low, high


def _rows(metric: Metric, values: ArrayLike, name: str) -> Floats:
    """Return values as an array of shape (samples, statistics), one statistic for a mean."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError(
            f"found no {name} of {metric.name}, expected at least one; a dataset without rows, or whose rows were "
            "all left out, has no score"
        )
    dimensions = 2 if isinstance(metric, CorpusMetric) else 1
    if array.ndim != dimensions:
        raise ValueError(
            f"found {name} of {metric.name} of shape {array.shape}, expected {dimensions} dimension(s), the first "
            "one for the samples; see `evaluate`"
        )
    for i in np.argwhere(~np.isfinite(array))[:1]:
        raise ValueError(
            f"found {name}{i.tolist()} = {array[tuple(i)]:g} of {metric.name}, expected a finite number; "
            "see what produced it"
        )
    if isinstance(metric, SampleMetric) and metric.proportion and not np.isin(array, (0, 1)).all():
        raise ValueError(
            f"found {name} of {metric.name} other than 0 and 1, expected only these; name the metric they are of"
        )
    return array.reshape(len(array), -1)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(
            f"found a confidence of {confidence:g}, expected a fraction between 0 and 1, such as 0.95"
        )
