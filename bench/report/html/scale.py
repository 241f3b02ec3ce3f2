"""Axes: where a value stands between two ends, and where the ticks are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_MARGIN = 0.06
_TICKS = 5


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`.

    Attributes:
        low, high: its ends, `low` below `high`; above 0 where it is logarithmic.
        logarithmic: whether equal ratios are equally far apart.
    """

    low: float
    high: float
    logarithmic: bool = False

    @classmethod
    def over(
        cls, values: Iterable[float | None], *, logarithmic: bool = False, margin: float = _MARGIN
    ) -> Axis:
        """Return a scale that holds all finite values, with some room on both sides."""
        found = [value for value in values if value is not None and math.isfinite(value)]
        logarithmic = logarithmic and all(value > 0 for value in found)
        if not found:
            return cls(0.0, 1.0)
        low, high = min(found), max(found)
        if logarithmic:
            factor = (high / low) ** margin if high > low else 1.1
            return cls(low / factor, high * factor, True)
        room = (high - low) * margin if high > low else abs(high) * 0.1 or 1.0
        return cls(low - room, high + room)

    def at(self, value: float) -> float:
        """Return where a value stands, in percent of the axis; outside of it, at its end.

        Example:
            >>> Axis(0, 4).at(1), Axis(1, 100, True).at(10), Axis(0, 1).at(7)
            (25.0, 50.0, 100.0)
        """
        if self.logarithmic:
            share = (
                math.log(max(value, self.low) / self.low) / math.log(self.high / self.low) if value > 0 else 0
            )
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, share)), 2)

    def ticks(self) -> Sequence[float]:
        """Return a few round values within the scale."""
        if self.logarithmic and self.high / self.low > 5:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            found = [step * 10.0**power for power in range(first, last + 1) for step in (1, 2, 5)]
            inside = [value for value in found if self.low <= value <= self.high]
            return inside if len(inside) <= 2 * _TICKS else inside[:: len(inside) // _TICKS]
        step = _round_step((self.high - self.low) / _TICKS)
        first = math.ceil(self.low / step)
        found = [(first + number) * step for number in range(3 * _TICKS)]
        return [round(value, 12) for value in found if value <= self.high]


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return float(next(step for step in (1, 2, 2.5, 5, 10) if step * power >= rough * 0.999) * power)
