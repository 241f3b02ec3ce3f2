"""The ranges of a task's scores, mapped to the 0..1 of a sigmoid and back: one, one per target, or one per group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = "NDArray[np.float64]"


def _array(values: ArrayLike) -> Floats:
    import numpy as np  # noqa: PLC0415  collecting names ranges and scales nothing

    return np.asarray(values, dtype=np.float64)


@dataclass(frozen=True)
class ScoreRange:
    """The least and the greatest score that can be.

    Raises:
        ValueError: ends that are not finite, or not the smaller one first.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse a range that nothing can be scaled to."""
        if not (self.low < self.high and math.isfinite(self.high - self.low)):
            raise ValueError(
                f"found the score range from {self.low} to {self.high}, expected two finite numbers, the smaller first; "
                "correct them"
            )

    def to_unit(self, scores: ArrayLike) -> Floats:
        """Return scores of the range as numbers from 0 to 1, of the same shape."""
        return (_array(scores) - self.low) / (self.high - self.low)

    def from_unit(self, values: ArrayLike) -> Floats:
        """Return numbers from 0 to 1 as scores of the range, of the same shape: `x * (high - low) + low`.

        A list is made an array first: a list times 3 is the list repeated three times.
        """
        return _array(values) * (self.high - self.low) + self.low

    def contains(self, score: float) -> bool:
        """Whether a score is a number of the range; NaN is not."""
        return self.low <= score <= self.high

    @property
    def text(self) -> str:
        """Its ends, for messages."""
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class GroupRanges:
    """Ranges that differ by group, such as those of the prompts that essays answer.

    Attributes:
        field: the field of a row that names its group. It need not be among the dataset's `fields`, which the model
            sees.
        ranges: of each group.

    Raises:
        ValueError: no group.
    """

    field: str
    ranges: Mapping[str, ScoreRange]

    def __post_init__(self) -> None:
        """Refuse what no row could be scaled by."""
        if not self.ranges:
            raise ValueError(
                f"found no ranges for the groups of {self.field}, expected one of each; give them"
            )


TargetRange = ScoreRange | GroupRanges
Scores = ScoreRange | GroupRanges | Mapping[str, TargetRange]
"""What a task declares: a range, ranges by group, or one of both for each of several targets by name."""

SINGLE = ""
"""Name of the target of a task that has only one."""


class UnknownGroup(ValueError):
    """A row of a group that no range was declared for."""


@dataclass(frozen=True)
class Scale:
    """The ranges of all targets.

    Attributes:
        targets: each target's range or ranges by group, in order; the only one of a task is named :data:`SINGLE`.
    """

    targets: Mapping[str, TargetRange]

    @classmethod
    def of(cls, scores: Scores) -> Scale:
        """Return the scale of what a task declares.

        Raises:
            ValueError: no target, names that cannot be columns, or targets whose groups are named by different fields.
        """
        if isinstance(scores, ScoreRange | GroupRanges):
            return cls({SINGLE: scores})
        targets = dict(scores)
        wrong = [
            name
            for name, scale in targets.items()
            if not (isinstance(name, str) and name.strip() and isinstance(scale, ScoreRange | GroupRanges))
        ]
        if not targets or wrong:
            raise ValueError(
                f"found the scores {scores!r}, expected a ScoreRange, GroupRanges, or one of both for each target by "
                "its name; correct them"
            )
        if len({scale.field for scale in targets.values() if isinstance(scale, GroupRanges)}) > 1:
            raise ValueError(
                "found groups of the targets in different fields, expected one field that names a row's group; correct them"
            )
        return cls(targets)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the targets."""
        return tuple(self.targets)

    @property
    def is_single(self) -> bool:
        """Whether there is one target without a name."""
        return self.names == (SINGLE,)

    @property
    def group_field(self) -> str | None:
        """The field that names a row's group; None where ranges do not differ by group."""
        return next((scale.field for scale in self.targets.values() if isinstance(scale, GroupRanges)), None)

    def range_of(self, target: str, group: str | None) -> ScoreRange:
        """Return the range of a target in a group.

        Raises:
            UnknownGroup: no range was declared for it; the message names those that have one.
        """
        scale = self.targets[target]
        if isinstance(scale, ScoreRange):
            return scale
        if group is None or group not in scale.ranges:
            raise UnknownGroup(
                f"a {scale.field} without a declared range, {group!r}, expected one of {', '.join(map(str, scale.ranges))}"
            )
        return scale.ranges[group]

    def ends(self, groups: Sequence[str | None]) -> tuple[Floats, Floats]:
        """Return the least and the greatest score of rows, each of shape (rows, targets)."""
        ranges = [[self.range_of(target, group) for target in self.targets] for group in groups]
        low = _array([[one.low for one in row] for row in ranges])
        high = _array([[one.high for one in row] for row in ranges])
        shape = (len(groups), len(self.targets))
        return low.reshape(shape), high.reshape(shape)

    def to_unit(self, scores: ArrayLike, groups: Sequence[str | None]) -> Floats:
        """Return scores of shape (rows, targets) as numbers from 0 to 1, each by the range of its target and group."""
        low, high = self.ends(groups)
        return (_array(scores) - low) / (high - low)

    def from_unit(self, values: ArrayLike, groups: Sequence[str | None]) -> Floats:
        """Return numbers from 0 to 1 of shape (rows, targets) as scores."""
        low, high = self.ends(groups)
        return _array(values) * (high - low) + low

    def to_plain(self) -> Any:
        """Return plain builtins that say the same, for configurations and checkpoints."""

        def plain(scale: TargetRange) -> Any:
            if isinstance(scale, ScoreRange):
                return [scale.low, scale.high]
            return {"field": scale.field, "ranges": {name: plain(one) for name, one in scale.ranges.items()}}

        if self.is_single:
            return plain(self.targets[SINGLE])
        return {"targets": {name: plain(scale) for name, scale in self.targets.items()}}
