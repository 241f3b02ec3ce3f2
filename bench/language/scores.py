"""The score of a dataset's answers, its interval, and the difference from another run on the same samples.

Scores are computed from values per sample, which a record keeps, without the model. The interval of a share
of right answers is Wilson's; every other one is a bootstrap over samples. See `bench.statistics`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.core.estimate import Estimate
from bench.core.record import Score
from bench.metrics.text import (
    TEXT_METRICS,
    Answer,
    CorpusMetric,
    Golds,
    GroupMetric,
    SampleMetric,
    TextMetric,
    check_lengths,
)
from bench.statistics.bootstrap import RESAMPLES, interval_ends, resampled_indices
from bench.statistics.proportion import check_confidence, wilson_interval

Floats = NDArray[np.float64]
Values = list[float] | list[list[float]]
"""What a score is computed from: a number for each sample or question, or the statistics of each sample."""


def evaluate(
    metric: str,
    answers: Sequence[Answer],
    golds: Sequence[Golds],
    *,
    groups: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[Values, Score]:
    """Return the values to keep and the score of a dataset's answers.

    Args:
        metric: name in `TEXT_METRICS`.
        answers: shape (samples,); None for one that could not be read.
        golds: right answers of each sample, shape (samples,), at least one each.
        groups: which question each sample asks, shape (samples,); for a `GroupMetric` only.
        confidence: two-sided level of the interval, as a fraction.
        seed: of the bootstrap.

    Returns:
        Values, shape (samples,), of a `CorpusMetric` (samples, statistics), of a `GroupMetric` (questions,).

    Raises:
        KeyError: an unknown metric.
        ValueError: no samples, unequal lengths, groups where the metric takes none or the other way round,
            or a sample that the metric cannot score.
    """
    rule = TEXT_METRICS[metric]
    check_lengths(answers, "answers", golds, "lists of right answers")
    if groups is None and isinstance(rule, GroupMetric):
        raise ValueError(
            f"found no groups for metric {metric!r}, expected the question that each sample asks; give groups"
        )
    if groups is not None and not isinstance(rule, GroupMetric):
        raise ValueError(
            f"found groups for metric {metric!r}, expected none: answers to one question are no independent "
            "samples; name circular_accuracy, or leave the groups out"
        )
    unparsed = sum(answer is None for answer in answers)
    pairs = list(zip(answers, golds, strict=True))
    values: Values
    if isinstance(rule, CorpusMetric):
        values = [rule.statistics(answer, right) for answer, right in pairs]
    else:
        values = [rule(answer, right) for answer, right in pairs]
        if isinstance(rule, GroupMetric) and groups is not None:
            values = list(rule.grouped(values, groups).values())
            unparsed = len({group for group, answer in zip(groups, answers, strict=True) if answer is None})
    return values, summarise(rule, values, unparsed=unparsed, confidence=confidence, seed=seed)


def summarise(
    metric: str | TextMetric,
    values: ArrayLike,
    *,
    unparsed: int = 0,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Score:
    """Return the score of a dataset with its standard error and interval, in the metric's own unit.

    The standard error of a mean is that of the samples, with n - 1; that of a corpus score comes from the
    bootstrap. One sample leaves both open, but for the interval of a share.

    Args:
        metric: name in `TEXT_METRICS`, or the metric itself.
        values: of samples or questions, shape (n,); statistics of a `CorpusMetric`, shape (n, statistics).
        unparsed: how many of them stand for an answer that could not be read.
        confidence: two-sided level of the interval, as a fraction.
        seed: of the bootstrap; the same values and seed give the same interval.
        resamples: of the bootstrap.

    Raises:
        KeyError: an unknown metric.
        ValueError: no samples, values of another shape, not finite, or not 0 or 1 where only these can be;
            more unparsed answers than samples; a confidence that is no fraction.
    """
    rule = TEXT_METRICS[metric] if isinstance(metric, str) else metric
    rows = _rows(rule, values, "values")
    n = len(rows)
    if not 0 <= unparsed <= n:
        raise ValueError(
            f"found {unparsed} unparsed answers of {n}, expected between none and all; count each answer once"
        )
    check_confidence(confidence)
    value = _combined(rule, rows.sum(axis=0), n)
    stderr, low, high = None, None, None
    if n > 1 and isinstance(rule, SampleMetric):
        stderr = float(rows.std(ddof=1)) / math.sqrt(n)
    if isinstance(rule, SampleMetric) and rule.proportion:
        low, high = wilson_interval(int(rows.sum()), n, confidence=confidence)
    elif n > 1:
        draws = _draws(rows, resamples, seed, lambda totals: _combined(rule, totals, n))
        low, high = interval_ends(draws, n, (1 - confidence) / 2, interpolated=True)
        if stderr is None:
            stderr = float(draws.std(ddof=1))
    return Score(
        metric=rule.name,
        value=value,
        low=low,
        high=high,
        n=n,
        stderr=stderr,
        higher_is_better=rule.higher_is_better,
        confidence=confidence,
        unparsed=unparsed,
    )


def difference(
    metric: str | TextMetric,
    values: ArrayLike,
    reference_values: ArrayLike,
    *,
    seed: int = 0,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Return how much better a run is than a stored one, by a paired bootstrap over the samples.

    A sample is drawn with its values of both runs, so that a hard one counts in both or in neither. Runs that
    agree on every sample differ by exactly 0. To ask whether the run is at most `margin` worse, compare the
    difference with ``Limit(bound=-margin)``: the chance to pass a run that is worse by just over the margin
    is 1 - `confidence`.

    Args:
        metric: name in `TEXT_METRICS`, or the metric itself.
        values, reference_values: as for `summarise`; entry i of both is the same sample.
        seed: of the bootstrap; the same values and seed give the same interval.
        confidence: level at which each end of the interval holds by itself, as a fraction.
        resamples: of the bootstrap.

    Returns:
        The difference in the metric's unit, above 0 where the run is better, whichever way "better" is.

    Raises:
        KeyError: an unknown metric.
        ValueError: values as for `summarise`, unequal lengths, fewer than two samples.
    """
    rule = TEXT_METRICS[metric] if isinstance(metric, str) else metric
    rows, reference = _rows(rule, values, "values"), _rows(rule, reference_values, "reference values")
    check_lengths(rows, "values", reference, "reference values")
    n, width = rows.shape
    if n < 2:
        raise ValueError(
            f"found {n} sample, expected at least two; one says nothing of the scatter, compare more samples"
        )
    check_confidence(confidence)

    def gain(totals: Floats) -> float:
        change = _combined(rule, totals[:width], n) - _combined(rule, totals[width:], n)
        return change if rule.higher_is_better else -change

    both = np.concatenate([rows, reference], axis=1)
    low, high = interval_ends(_draws(both, resamples, seed, gain), n, 1 - confidence, interpolated=True)
    return Estimate(
        metric="difference", value=gain(both.sum(axis=0)), low=low, high=high, n=n, confidence=confidence
    )


def _combined(metric: TextMetric, totals: Floats, n: int) -> float:
    """Return the score of n samples from the totals of their values, shape (statistics,)."""
    if isinstance(metric, CorpusMetric):
        return metric.combine(totals.tolist())
    return float(totals[0]) / n


def _draws(rows: Floats, resamples: int, seed: int, score: Callable[[Floats], float]) -> Floats:
    """Return the score of each resample of rows, shape (samples, statistics) -> (resamples,)."""

    def totals() -> Iterator[Floats]:
        n, width = rows.shape
        for index in resampled_indices(n, resamples, seed, width=width):
            yield from rows[index].sum(axis=1)

    return np.array([score(total) for total in totals()])


def _rows(metric: TextMetric, values: ArrayLike, name: str) -> Floats:
    """Return values as an array of shape (samples, statistics), one statistic for a mean."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError(
            f"found no {name} of {metric.name}, expected at least one; a dataset without rows has no score, see "
            "whether all were left out"
        )
    dimensions = 2 if isinstance(metric, CorpusMetric) else 1
    if array.ndim != dimensions:
        raise ValueError(
            f"found {name} of {metric.name} of shape {array.shape}, expected {dimensions} dimension(s), the "
            "first one for the samples; see `evaluate`"
        )
    for i in np.argwhere(~np.isfinite(array))[:1]:
        raise ValueError(
            f"found {name}{i.tolist()} = {array[tuple(i)]:g} of {metric.name}, expected a finite number; "
            "see what produced it"
        )
    if isinstance(metric, SampleMetric) and metric.proportion and not np.isin(array, (0, 1)).all():
        raise ValueError(
            f"found {name} of {metric.name} other than 0 and 1, expected only these; name their own metric"
        )
    return array.reshape(len(array), -1)
