"""What the record of an evaluated case holds besides the common keys."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from bench.core.record import Body, Gain
from bench.evaluated.file import Point, StoredGain


class Evaluated(msgspec.Struct, kw_only=True):
    """Where an evaluation comes from.

    Attributes:
        file: its name.
        kind: what it is of, ``regression`` or ``reranking``.
        prefix: of its metrics in the Trainer.
        step, epoch: of the training.
        history: the scores of this and all earlier evaluations.
    """

    file: str
    kind: str
    prefix: str
    step: int
    epoch: float | None
    history: list[Point]


class EvaluatedBody(Body, kw_only=True):
    """The keys that only records of evaluated cases have.

    Attributes:
        model, dataset: as the training script names them; None where the file cannot be read.
        queries, tie_rule: of a ranking.
        evaluated: None until the file was read.
    """

    gain_type: ClassVar[type[Gain]] = StoredGain

    model: str | None = None
    dataset: str | None = None
    queries: dict[str, int] | None = None
    tie_rule: str | None = None
    evaluated: Evaluated | None = None
