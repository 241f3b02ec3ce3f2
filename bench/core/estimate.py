"""The one shape of a value with its interval."""

from __future__ import annotations

import msgspec

PERCENT = "%"


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A measured value, how uncertain it is, and what it is of.

    Attributes:
        metric: its name, such as ``speedup`` or ``mrr@10``.
        value: None where it does not exist; `reason` says why.
        low, high: ends of the two-sided interval, None where there is none.
        n: samples, rounds or queries behind it.
        stderr: standard error, in the unit of `value`.
        unit: ``%`` for percentages from 0 to 100, ``x``, ``s``, or empty.
        percent: whether `unit` is ``%``; follows from it.
        higher_is_better: what "better" means.
        confidence: level of the interval, as a fraction.
        reason: why there is no value or no interval.
    """

    metric: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    stderr: float | None = None
    unit: str = ""
    percent: bool = False
    higher_is_better: bool = True
    confidence: float = 0.95
    reason: str | None = None

    def __post_init__(self) -> None:
        """Keep `percent` true to the unit: records have both."""
        msgspec.structs.force_setattr(self, "percent", self.unit == PERCENT)

    @property
    def has_interval(self) -> bool:
        """Whether both ends are known."""
        return self.low is not None and self.high is not None

    def scaled(self, factor: float, unit: str) -> Estimate:
        """Return the same estimate in another unit."""

        def times(value: float | None) -> float | None:
            return None if value is None else float(value * factor)

        return msgspec.structs.replace(
            self, value=times(self.value), low=times(self.low), high=times(self.high),
            stderr=times(self.stderr), unit=unit,
        )  # fmt: skip

    def text(self) -> str:
        """Return value and interval as a table shows them: percentages with one digit, anything else with three."""
        if self.value is None:
            return "-"
        digits = 1 if self.percent else 3
        interval = f" [{self.low:.{digits}f}, {self.high:.{digits}f}]" if self.has_interval else ""
        return f"{self.value:.{digits}f}{interval}"
