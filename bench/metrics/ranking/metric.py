"""What a ranking metric is: a function of the hits of all queries, and the registry of such functions.

A metric of your own is one function in a file of a ``--user-dir`` folder::

    from bench.metrics.ranking import RANKING_METRICS

    @RANKING_METRICS.register("miss_rate")
    def miss_rate(hits):
        return (hits.counts == 0).astype(float)

Only a metric that is to be the score needs more: its value in a random order, in
`bench.metrics.ranking.random_order.EXPECTATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from bench.core.registry import Registry, caller_place
from bench.metrics.ranking.blocks import Floats, Integers

F = TypeVar("F")


@dataclass(frozen=True)
class Hits:
    """The relevant candidates of the queries that are scored: all that a metric needs to see of a ranking.

    Attributes:
        queries: query index of each hit, ascending, shape (hits,).
        ranks: rank of each in its list, from 1, ascending within a query, shape (hits,).
        gains: relevance of each, above 0, shape (hits,).
        relevant: relevant items of each query, candidates or not, shape (queries,). At least 1, so that it
            divides: a query without any has no hit either.
        cutoffs: ascending, shape (cut-offs,).
        ideal_hits: returns those of ideal rankings, which begin with all relevant items, the best first.
    """

    queries: Integers
    ranks: Integers
    gains: Floats
    relevant: Integers
    cutoffs: Integers
    ideal_hits: Callable[[], Hits]

    @cached_property
    def nth(self) -> Integers:
        """How many hits of its query there are up to each hit, itself included, shape (hits,)."""
        first = np.searchsorted(self.queries, np.arange(len(self.relevant)))
        return np.arange(1, len(self.queries) + 1) - first[self.queries]

    @cached_property
    def counts(self) -> Floats:
        """Hits of each query up to each cut-off, shape (queries, cut-offs)."""
        return self.sums(np.ones(len(self.queries)))

    @cached_property
    def _cells(self) -> Integers:
        """The entry of (queries, cut-offs) where each hit first counts; one past the end for none."""
        columns = np.searchsorted(self.cutoffs, self.ranks)
        width = len(self.cutoffs)
        return np.where(columns < width, self.queries * width + columns, len(self.relevant) * width)

    def sums(self, terms: Floats) -> Floats:
        """Return terms, one for each hit, summed up to each cut-off, shape (queries, cut-offs)."""
        shape = len(self.relevant), len(self.cutoffs)
        entries = shape[0] * shape[1]
        added = np.bincount(self._cells, weights=terms, minlength=entries)[:entries]
        return np.cumsum(
            added.reshape(shape), axis=1, dtype=np.float64
        )  # of nothing, bincount makes integers


@dataclass(frozen=True)
class RankingMetric:
    """A value for every query at every cut-off; higher is better.

    Attributes:
        name: as in `RANKING_METRICS`.
        function: returns the values, in [0, 1], shape (queries, cut-offs).
        whole_list: whether the value over the whole list has a meaning, and a name without a cut-off, such as
            ``map``.
    """

    name: str
    function: Callable[[Hits], Floats]
    whole_list: bool = False

    def __call__(self, hits: Hits) -> Floats:
        """Return the values, shape (queries, cut-offs).

        Raises:
            ValueError: the function returned another shape, or a value that is not finite.
        """
        table = np.asarray(self.function(hits), np.float64)
        expected = len(hits.relevant), len(hits.cutoffs)
        if table.shape != expected or not np.isfinite(table).all():
            fault = "" if table.shape != expected else ", not all of them finite"
            raise ValueError(
                f"found values of shape {table.shape} from ranking metric {self.name!r}{fault}, expected finite "
                f"ones of shape {expected}, (queries, cut-offs); build them from hits.counts or hits.sums"
            )
        return table


class RankingMetrics(Registry[RankingMetric]):
    """The ranking metrics, by name without a cut-off."""

    def register(self, name: str, *, whole_list: bool = False) -> Callable[[F], F]:
        """Return a decorator that registers a function as a `RankingMetric` and returns it unchanged.

        Args:
            name: without a cut-off; records and requirements add it, as in ``name@10``.
            whole_list: whether the value over the whole list has a meaning. It is then measured too, as
                ``name``.

        Raises:
            ValueError: the name is taken, with both places, or has an ``@`` in it.

        Example:
            >>> metrics = RankingMetrics("ranking metric")
            >>> @metrics.register("miss_rate")
            ... def miss_rate(hits):
            ...     return (hits.counts == 0).astype(float)
            >>> metrics["miss_rate"].whole_list
            False
        """
        place = caller_place()
        if "@" in name:
            raise ValueError(
                f"found the name {name!r} of a ranking metric, expected one without @; leave it out, values at a "
                "cut-off get it"
            )

        def decorate(function: F) -> F:
            # F keeps the type of what is decorated, and a function is all that it is used for.
            self.add(name, RankingMetric(name, function, whole_list), place=place)  # type: ignore[arg-type]
            return function

        return decorate


RANKING_METRICS = RankingMetrics("ranking metric")
"""Every metric that `bench.metrics.ranking.evaluate` knows."""
