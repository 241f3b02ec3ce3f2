"""The gain of a ranking over another one of the same queries, such as that of a first stage: paired query by query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.core.errors import TuningProblem
from bench.core.estimate import Estimate
from bench.metrics import ranking
from bench.metrics.ranking.trec import NegativeRule, flatten
from bench.reranking.asked import values_of
from bench.reranking.measures import Measured, means_of
from bench.reranking.record import RankingGain

OVER_BASE = "_over_base"
"""What follows a metric's name in the name of its gain over the base run."""
GAIN_OVER_BASE, GAIN_OVER_RANDOM = "gain_over_base", "gain_over_random"
"""Names by which the gains of the score can be required."""


@dataclass(frozen=True)
class OverBase:
    """A ranking next to a base run.

    Attributes:
        gain: of the score, with the interval of the paired differences.
        gains: of every metric, by its name and `OVER_BASE`.
        values: of the score in the base run, shape (scored queries,).
        absent: scored queries that the base run does not have; they count as 0 there.
    """

    gain: RankingGain
    gains: dict[str, Estimate]
    values: NDArray[np.float64]
    absent: int


def over_base(
    measured: Measured,
    base: Mapping[str, Mapping[str, float]],
    qrels: Mapping[str, Mapping[str, float]],
    *,
    name: str,
    negative: NegativeRule = "refuse",
    seed: int = 0,
) -> OverBase:
    """Return the gain over a base run.

    Args:
        measured: the ranking.
        base: score of each document of each query in the base run.
        qrels: those that the ranking was measured by.
        name: of the base run.
        negative: whether a negative relevance is refused or means 0.
        seed: of the bootstrap.

    Raises:
        TuningProblem: a base run of other queries.
    """
    try:
        flat = flatten(base, qrels, negative=negative)  # type: ignore[arg-type]  # as in `measure`
    except ValueError as error:
        raise TuningProblem("data_failed", f"base run {name}: {error}") from error
    ranked = ranking.rank(**vars(flat), ties=measured.scores.ties)
    names = tuple(measured.values_by_query)
    values = values_of(ranked, names)
    # Both have a row for each query of the qrels that has something relevant, in the order of the qrels.
    differences = np.stack([measured.values_by_query[one] - values[one] for one in names], axis=1)
    gains = means_of([f"{one}{OVER_BASE}" for one in names], differences, seed)
    by_name = {gain.metric: gain for gain in gains}
    primary = by_name[f"{measured.primary}{OVER_BASE}"]
    scored = ranked.relevant_counts > 0
    return OverBase(
        RankingGain(
            **{**msgspec.structs.asdict(primary), "metric": measured.primary},
            over=name,
            expected=float(values[measured.primary].mean()),
        ),
        by_name,
        values[measured.primary],
        int((scored & (ranked.lengths == 0)).sum()),
    )
