"""How far a judge agrees with the verdicts of people, with intervals over the labelled rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.core.estimate import PERCENT
from bench.core.record import Score
from bench.statistics.bootstrap import RESAMPLES, interval_ends, resampled_indices
from bench.statistics.proportion import wilson_interval

_UNREAD = "(not read)"


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement of a judge with labels.

    Attributes:
        share: ``judge_agreement``, the percentage of rows with the same verdict.
        kappa: ``judge_kappa``, Cohen's.
        values: 1 or 0 for each labelled row.
    """

    share: Score
    kappa: Score
    values: list[float]


def agreement(verdicts: Sequence[str | None], labels: Sequence[str], seed: int = 0) -> Agreement:
    """Return share and Cohen's kappa of a judge's verdicts and labels.

    Values are of the verdicts that were read. The others widen the intervals: the low end counts them as disagreement, and
    the high end of the share as agreement. The interval of the share is Wilson's, that of kappa a bootstrap over rows.
    Where judge and labels hardly ever differ, a bootstrap sees no scatter: the interval of kappa then reaches to the kappas
    of the share's own ends.

    Args:
        verdicts: of the judge, shape (rows,); None for one that was not read.
        labels: of people, shape (rows,).
        seed: of the bootstrap.

    Example:
        >>> found = agreement(["A", "B", "A", "B"], ["A", "B", "B", "B"])
        >>> found.share.value, found.kappa.value
        (75.0, 0.5)
    """
    n = len(labels)
    if n == 0:
        why = "no row has a label"
        share = Score(metric="judge_agreement", n=0, unit=PERCENT, reason=why)
        return Agreement(share, Score(metric="judge_kappa", n=0, reason=why), [])
    from sklearn.metrics import accuracy_score, cohen_kappa_score  # noqa: PLC0415  slow to import

    pairs = [(said, label) for said, label in zip(verdicts, labels, strict=True) if said is not None]
    unread = n - len(pairs)
    said, meant = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    right = sum(one == other for one, other in pairs)
    low, high = wilson_interval(right, n)[0], wilson_interval(right + unread, n)[1]
    share = Score(
        metric="judge_agreement", value=float(accuracy_score(meant, said)) if pairs else 0.0, low=low, high=high, n=n,
        unparsed=unread,
    )  # fmt: skip
    scaled = share.scaled(100, PERCENT)
    assert isinstance(scaled, Score)
    values = [float(one == other) for one, other in zip(verdicts, labels, strict=True)]
    value = math.nan
    if len({*said, *meant}) > 1:  # else chance alone agrees always
        value = float(cohen_kappa_score(meant, said))
    if math.isnan(value):
        why = "judge and labels know one verdict only" if pairs else "no verdict of the judge could be read"
        return Agreement(scaled, Score(metric="judge_kappa", n=n, unparsed=unread, reason=why), values)
    ends = [value]
    for spoken in [list(verdicts)] if not unread else [said, [one or _UNREAD for one in verdicts]]:
        of = meant if len(spoken) < n else list(labels)
        ends += _kappa_ends([str(one) for one in spoken], of, (low, high), seed)
    kappa = Score(
        metric="judge_kappa", value=value, low=min(ends), high=min(max(ends), 1.0), n=n, unparsed=unread
    )
    return Agreement(scaled, kappa, values)


def _kappa_ends(
    said: Sequence[str], meant: Sequence[str], share: tuple[float, float], seed: int
) -> list[float]:
    """Return ends of kappa: of a bootstrap over rows, and with the agreement at the ends of its own interval."""
    names = {name: place for place, name in enumerate(dict.fromkeys([*said, *meant]))}
    k, n = len(names), len(said)
    cells = np.array([names[one] * k + names[other] for one, other in zip(said, meant, strict=True)])
    whole = _tables(cells[None], k)
    chance = float(_chance(whole)[0])
    ends = [(end - chance) / (1 - chance) for end in share] if chance < 1 else []
    if n > 1:
        draws = np.concatenate(
            [_kappas(_tables(cells[index], k)) for index in resampled_indices(n, RESAMPLES, seed, width=k)]
        )
        # A resample with one verdict only has no kappa; it says nothing against the others.
        defined = draws[~np.isnan(draws)]
        ends += interval_ends(defined, n, 0.025, interpolated=True) if len(defined) else ()
    return ends


def _tables(cells: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """Return how often each pair of verdicts occurs, shape (resamples, rows) -> (resamples, k, k)."""
    shifted = cells + np.arange(len(cells))[:, None] * k * k
    counts = np.bincount(shifted.ravel(), minlength=len(cells) * k * k)
    shares: NDArray[np.float64] = counts.reshape(len(cells), k, k) / cells.shape[1]
    return shares


def _chance(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    chance: NDArray[np.float64] = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1)
    return chance


def _kappas(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Cohen's kappa of each table; NaN where chance alone agrees always. Source: Cohen 1960."""
    observed, chance = np.trace(tables, axis1=1, axis2=2), _chance(tables)
    with np.errstate(invalid="ignore", divide="ignore"):
        kappas: NDArray[np.float64] = (observed - chance) / (1 - chance)
    kappas[1 - chance < 1e-12] = np.nan
    return kappas
