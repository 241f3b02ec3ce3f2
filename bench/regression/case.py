"""The case of a regression task. Importing this module imports no framework."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from bench.core.case import Case
from bench.core.record import Record, Score
from bench.regression.record import RegressionBody


@dataclass(frozen=True, slots=True)
class RegressionCase(Case):
    """A task whose model is trained on scored texts: does it predict the scores of texts it has not seen?

    Attributes:
        id: the task's name; that of a control begins with ``control-``.
        task: name of the registered task.
        predictions: table of predictions that is judged in place of a model's; None where a model is.
        cost: seconds on one core, over a hundred: less than any acceleration case.
    """

    kind: ClassVar[str] = "regression"

    task: str
    predictions: Path | None = field(default=None, kw_only=True)
    cost: float = field(default=0.1, kw_only=True)

    @property
    def names(self) -> tuple[str, ...]:
        """Id and task."""
        return self.id, self.task

    def body(self) -> RegressionBody:
        """Return the keys of a regression record."""
        return RegressionBody(task=self.task)

    def blank(self) -> Record:
        """Return the record before anything is known."""
        record = Case.blank(self)
        record.score = Score()
        return record
