"""Query sets and rankers by name, registered by a decorator where they are written.

    @query_set("support_tickets", queries="text", candidates="text")
    def support_tickets() -> QuerySet: ...

    @ranker("word_overlap", queries="text", candidates="text")
    def word_overlap(queries: QuerySet) -> list[np.ndarray]: ...

A ranker meets every set that asks and answers in the same form. Registering imports no framework; import what is heavy
inside the functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.core.errors import REASON_CODES
from bench.core.registry import Registry, caller_place, no_such
from bench.reranking.queries import QuerySet

Load = Callable[[], QuerySet]
Rank = Callable[[QuerySet], Sequence[Any]]
F = TypeVar("F", bound=Callable[..., Any])
_HINT = "--user-dir imports what you register yourself"


@dataclass(frozen=True)
class RegisteredSet:
    """A function that returns a query set.

    Attributes:
        load: that function.
        queries, candidates: what they are: ``text``, ``image``, or a word of your own.
    """

    load: Load
    queries: str
    candidates: str


@dataclass(frozen=True)
class RegisteredRanker:
    """A function that returns the scores of each query's candidates, in their order; higher is better.

    Attributes:
        score: that function.
        queries, candidates: what it reads; None is anything.
        sets: the only sets that it meets, or None.
        expect: for a control, the reason code for which it must be rejected.
    """

    score: Rank
    queries: str | None = None
    candidates: str | None = None
    sets: tuple[str, ...] | None = None
    expect: str | None = None

    def fits(self, name: str, query_set_: RegisteredSet) -> bool:
        """Whether it can rank a set."""
        return (
            (self.sets is None or name in self.sets)
            and self.queries in (None, query_set_.queries)
            and self.candidates in (None, query_set_.candidates)
        )


QUERY_SETS: Registry[RegisteredSet] = Registry("query set", _HINT)
RANKERS: Registry[RegisteredRanker] = Registry("ranker", _HINT)


def query_set(name: str, *, queries: str, candidates: str) -> Callable[[F], F]:
    """Return a decorator for a function that returns a `QuerySet`.

    Raises:
        ValueError: the name is taken; the message names both places.
    """
    place = caller_place()

    def decorate(load: F) -> F:
        QUERY_SETS.add(name, RegisteredSet(load, queries, candidates), place=place)
        return load

    return decorate


def ranker(
    name: str,
    *,
    queries: str | None = None,
    candidates: str | None = None,
    sets: tuple[str, ...] | None = None,
    expect: str | None = None,
) -> Callable[[F], F]:
    """Return a decorator for a function that scores a `QuerySet`; arguments as for `RegisteredRanker`.

    Raises:
        ValueError: the name is taken, and the message names both places; or `expect` is no reason code.
    """
    if expect is not None and expect not in REASON_CODES:
        raise ValueError(f"ranker {name!r}: {no_such('reason code', expect, REASON_CODES)}; correct `expect`")
    place = caller_place()

    def decorate(score: F) -> F:
        RANKERS.add(name, RegisteredRanker(score, queries, candidates, sets, expect), place=place)
        return score

    return decorate
