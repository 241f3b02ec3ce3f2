"""What one test decides, frozen at collection. Importing this module imports no framework."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from bench.core.record import Body, Control, Record


@dataclass(frozen=True, slots=True)
class Case:
    """Base of the cases of every kind.

    Attributes:
        kind: name of the kind; each kind sets its own.
        id: the pytest parameter id, unique among the cases of a kind.
        order: position among the cases of its kind, which is the order of the records.
        cost: relative cost estimate; the longest run first.
        group: cases of a lower group run first; those of one group use the same model.
        problem: why it cannot be evaluated, known at collection; it ends as the error ``task_invalid``.
        expect: for a control, the reason code for which it must be rejected; None for a task.
        metrics: names of what will be measured, as far as known; a requirement may name any of them.
        variant: what tells it from the same case in other tests of the run, where a plugin such as pytest-repeat makes
            several of one; the end of its id.
    """

    kind: ClassVar[str]

    id: str
    order: int = field(default=0, kw_only=True)
    cost: float = field(default=1.0, kw_only=True)
    group: int = field(default=0, kw_only=True)
    problem: str | None = field(default=None, kw_only=True)
    expect: str | None = field(default=None, kw_only=True)
    metrics: tuple[str, ...] = field(default=(), kw_only=True)
    variant: str = field(default="", kw_only=True)

    def __init_subclass__(cls) -> None:
        """Keep the short form of a case; a dataclass would make a long one of its fields."""
        cls.__repr__ = Case.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        """Return the id, which is what pytest and other plugins show of a test's parameters."""
        return self.id

    @property
    def is_control(self) -> bool:
        """Whether it must be rejected."""
        return self.expect is not None

    def varied(self, variant: str) -> Self:
        """Return the case under an id of its own, so that it has a record and files of its own."""
        variant = re.sub(r"[^\w.-]+", "_", variant)  # it becomes part of the names of files
        return replace(self, id=f"{self.id}-{variant}", variant=variant)

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which a requirement may mean this case."""
        return (self.id,)

    @property
    def together(self) -> tuple[str, ...]:
        """Names of what it is a part of, and ids of what it combines; cases of a kind that share a name need one run."""
        return ()

    @property
    def shares(self) -> str:
        """What is loaded or computed for it and for others of its kind, such as a model; empty where there is nothing."""
        return ""

    def body(self) -> Body:
        """Return the keys of its record that its kind has besides the common ones, as far as known."""
        return Body()

    def blank(self) -> Record:
        """Return its record before anything is known: every key, missing values as None."""
        control = None if self.expect is None else Control(expected=self.expect)
        return Record(id=self.id, kind=self.kind, order=self.order, control=control, body=self.body())
