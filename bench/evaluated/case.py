"""The case of an evaluation that a training script left behind. Importing this module imports no framework."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from bench.core.case import Case
from bench.core.record import Record, Score
from bench.evaluated.record import EvaluatedBody


@dataclass(frozen=True, slots=True)
class EvaluatedCase(Case):
    """An evaluation that a training script left behind: is it good enough?

    Attributes:
        id: ``evaluated-`` and the name of the file.
        file: where it is.
        model, dataset: as the training script names them; None where the file cannot be read.
        cost: seconds on one core, over a hundred: a file is read.
    """

    kind: ClassVar[str] = "evaluated"

    file: Path
    model: str | None = field(default=None, kw_only=True)
    dataset: str | None = field(default=None, kw_only=True)
    cost: float = field(default=0.01, kw_only=True)

    @property
    def names(self) -> tuple[str, ...]:
        """Id, name of the file, dataset, and model with dataset."""
        named = () if self.dataset is None else (self.dataset, f"{self.model}/{self.dataset}")
        return self.id, self.file.stem, *named

    def body(self) -> EvaluatedBody:
        """Return the keys of an evaluated record."""
        return EvaluatedBody(model=self.model, dataset=self.dataset)

    def blank(self) -> Record:
        """Return the record before anything is known."""
        record = Case.blank(self)
        record.score = Score()
        return record
