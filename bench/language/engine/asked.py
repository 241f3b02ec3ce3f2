"""What a backend asks an engine for, in token ids: scores of sequences, and text after prompts. Imports no framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from bench.language.chat import WrittenText
from bench.language.engine.packing import Group, TokenScores

if TYPE_CHECKING:
    from bench.language.engine.stopping import Request


class Batched(Protocol):
    """How questions are put together.

    Attributes:
        size: questions of a batch now.
        halvings: how often memory ran out.
    """

    size: int
    halvings: int


class TokenScorer(Protocol):
    """Scores groups of sequences.

    Attributes:
        batches: how they are put together.
        fed_tokens: tokens that the model was fed so far.
        shares: whether tokens that choices share are computed once.
    """

    fed_tokens: int
    shares: bool

    @property
    def batches(self) -> Batched:
        """How groups are put together."""

    def score(
        self, groups: Sequence[Group], done: Callable[[int, list[TokenScores]], None] | None = None
    ) -> list[list[TokenScores]]:
        """Score groups; ``done`` gets each group's index and scores as soon as they are known."""


class TokenWriter(Protocol):
    """Continues prompts."""

    @property
    def continuous(self) -> bool | None:
        """Whether texts left and entered the batch one by one; None before anything was written."""

    @property
    def batches(self) -> Batched:
        """How prompts are put together."""

    def generate(
        self, requests: Sequence[Request], done: Callable[[int, WrittenText], None] | None = None
    ) -> list[WrittenText]:
        """Return what was written to each request; ``done`` gets each one as soon as it is known."""

    def with_options(self, options: Mapping[str, Any]) -> TokenWriter:
        """Return a writer of the same model with other options of the generation."""
