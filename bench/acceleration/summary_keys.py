"""What acceleration adds to the summary of the results, as types for its schema."""

from __future__ import annotations

from typing import TypedDict


class CountedTasks(TypedDict):
    """How many tasks of a group passed, and the interval of their share; null where every one was skipped."""

    total: int
    passed: int
    pass_rate: float | None
    low: float | None
    high: float | None


class HardTasks(CountedTasks):
    """The same of the hard tasks, with the mean of their achievement rates."""

    achievement_rate: float | None
    achievement_low: float | None
    achievement_high: float | None


class LevelCounts(TypedDict):
    """The same of each level."""

    L1: CountedTasks
    L2: CountedTasks
    L3: CountedTasks
    L4: CountedTasks
    L5: CountedTasks


class AccelerationSummary(TypedDict):
    """The keys that acceleration adds."""

    hard: HardTasks
    levels: LevelCounts
    every_level: CountedTasks
