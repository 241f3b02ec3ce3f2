"""A language case: one model on one dataset, or on a shard of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bench.core.case import Case
from bench.core.record import Record, Score
from bench.language.protocol import NOT_COMPARABLE, OWN_PROTOCOL
from bench.language.record import LanguageBody, Shard


@dataclass(frozen=True, slots=True)
class LanguageCase(Case):
    """A language model on a dataset, or on a shard of one: how well does it do?

    Its id is ``model-dataset``, with ``-1of3`` for a shard. Its cost is rows x choices, or rows x output length. Its
    group is the position of the model, so that a worker finishes one model before the next.

    Attributes:
        model: name of the model's configuration.
        dataset: name of the dataset.
        mode: kind of inference: ``gen``, ``ppl``, ``ll``, ``clp``, ``rolling``.
        rows: the rows of this shard, ``(first, one after the last)``. The end is None if it is not known before the
            dataset is loaded.
        shard, shards: which shard this is, from 1, and how many there are.
        min_score: score that the whole dataset must reach; None is not gated.
        protocol: what makes its score comparable, as for a dataset; empty if it is not known.
        members: ids of the cases whose scores a group of tasks combines.
    """

    kind: ClassVar[str] = "language"

    model: str
    dataset: str
    mode: str = ""
    rows: tuple[int, int | None] = (0, None)
    shard: int = 1
    shards: int = 1
    min_score: float | None = None
    protocol: str = ""
    members: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """Name of the files of the dataset in a run: the dataset's, with the variant where there is one."""
        return f"{self.dataset}-{self.variant}" if self.variant else self.dataset

    @property
    def names(self) -> tuple[str, ...]:
        """Id, dataset, and model with dataset."""
        return (self.id, self.dataset, f"{self.model}/{self.dataset}")

    @property
    def together(self) -> tuple[str, ...]:
        """The dataset of a shard, whose last one scores it; the members of a group, whose scores it combines."""
        dataset = (f"{self.model}/{self.stem}",) if self.shards > 1 else ()
        return (*dataset, *self.members)

    @property
    def shares(self) -> str:
        """The model."""
        return self.model

    def body(self) -> LanguageBody:
        """Return what is known before anything is asked."""
        return LanguageBody(
            model=self.model, dataset=self.dataset, mode=self.mode, protocol=self.protocol,
            protocol_note=NOT_COMPARABLE if self.protocol == OWN_PROTOCOL else None, shard=Shard(self.shard, self.shards),
        )  # fmt: skip

    def blank(self) -> Record:
        """Return the record with the required score."""
        record = Case.blank(self)
        record.score = Score(required=self.min_score)
        return record
