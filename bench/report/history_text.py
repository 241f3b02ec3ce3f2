"""The history of runs in words and as a page: values over time, where they changed, and what changed around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist, fmean, median

from bench.core.page import Block, Curve, CurvePlot, Grid, Prose
from bench.report.compare import differing_environment
from bench.report.history import Series
from bench.report.html.page import plain_page
from bench.report.html.words import moment, number
from bench.report.layout import folded, line_width
from bench.statistics.change_points import LEAST_POINTS, change_points

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDEST = 40
_MISSING = "change points need ruptures; install it with: pip install ruptures"
_MOST_ENVIRONMENT = 4


@dataclass(frozen=True)
class Turn:
    """A change of level: the run with which it begins, both levels, and what else changed with that run."""

    run: str
    started: str
    before: float
    after: float
    environment: Sequence[str]


def turns(series: Series) -> list[Turn]:
    """Return the changes of level of a series.

    Raises:
        ImportError: ruptures is not installed.
    """
    known = [point for point in series.points if point.estimate.value is not None]
    values = [point.estimate.value for point in known if point.estimate.value is not None]
    widths = [
        (point.estimate.high - point.estimate.low) / (2 * NormalDist().inv_cdf(0.975))
        for point in known
        if point.estimate.high is not None and point.estimate.low is not None
    ]
    places = change_points(values, median(widths) if len(widths) == len(values) and widths else 0.0)
    ends = [0, *places, len(values)]
    found = []
    for number_, place in enumerate(places):
        before = fmean(values[ends[number_] : place])
        after = fmean(values[place : ends[number_ + 2]])
        differing = differing_environment(known[place - 1].environment, known[place].environment)
        said = [f"{name} {one} → {other}" for name, one, other in differing]
        found.append(Turn(known[place].run, known[place].started, before, after, said))
    return found


def environment_changes(series: Sequence[Series]) -> list[tuple[str, str, str]]:
    """Return what changed in the environment from run to run: the run, when it began, what changed."""
    runs = {(point.started, point.run): point.environment for one in series for point in one.points}
    ordered = sorted(runs.items())
    found = []
    for (_, before), ((started, run), after) in pairwise(ordered):
        differing = [f"{name} {one} → {other}" for name, one, other in differing_environment(before, after)]
        if differing:
            found.append((run, moment(started), "; ".join(differing)))
    return found


def lines(series: Sequence[Series]) -> list[str]:
    """Return the history for a terminal."""
    if not series:
        return ["nothing fits; the file has no such case or metric"]
    rows: list[tuple[str, ...]] = [("case", "metric", "runs", "first", "last", "course", "last verdict")]
    for one in series:
        values = [point.estimate.value for point in one.points]
        unit = one.points[-1].estimate.unit
        rows.append(
            (
                one.name, one.metric, str(len(one.points)), number(values[0], unit), number(values[-1], unit),
                sparkline(values[-_WIDEST:]), one.points[-1].verdict,
            )
        )  # fmt: skip
    found = folded(rows, line_width())
    said, problem = _turn_lines(series)
    if problem:
        found += ["", problem]
    elif said:
        found += ["", "changes of level", *said]
    elif any(len(one.points) >= LEAST_POINTS for one in series):
        found += ["", "no change of level is seen"]
    else:
        found += ["", f"changes of level are looked for from {LEAST_POINTS} runs on"]
    changes = environment_changes(series)
    if changes:
        found += ["", "the environment changed", *(f"{when}  {run}: {what}" for run, when, what in changes)]
    return found


def sparkline(values: Sequence[float | None]) -> str:
    """Return a series as a line of blocks; a missing value is a dot.

    Example:
        >>> sparkline([1.0, 2.0, None, 3.0])
        '▁▄·█'
    """
    known = [value for value in values if value is not None]
    if not known:
        return "·" * len(values)
    low, high = min(known), max(known)
    last = len(_BLOCKS) - 1

    def block(value: float | None) -> str:
        if value is None:
            return "·"
        return _BLOCKS[int((value - low) / (high - low) * last)] if high > low else _BLOCKS[last // 2]

    return "".join(map(block, values))


def _turn_lines(series: Sequence[Series]) -> tuple[list[str], str]:
    said: list[str] = []
    try:
        for one in series:
            said += [f"{one.label}: {text}" for text in _turn_texts(one)]
    except ImportError:
        return [], _MISSING
    return said, ""


def _turn_texts(one: Series) -> Iterator[str]:
    last = one.points[-1].estimate
    for turn in turns(one):
        is_worse = (turn.after > turn.before) != last.higher_is_better
        around = "; ".join(turn.environment[:_MOST_ENVIRONMENT])
        more = len(turn.environment) - _MOST_ENVIRONMENT
        around += f"; and {more} more" if more > 0 else ""
        yield (
            f"{number(turn.before, last.unit)} → {number(turn.after, last.unit)} ({'worse' if is_worse else 'better'}) "
            f"since {moment(turn.started)}, run {turn.run}"
            + (f"; with it changed {around}" if around else "")
        )


def html(series: Sequence[Series]) -> str:
    """Return the history as a page."""
    blocks: list[Block] = []
    said, problem = _turn_lines(series)
    if said or problem:
        blocks.append(Prose(said or [problem], "Changes of level", "unsure"))
    for one in series:
        points = [
            (float(place), point.estimate)
            for place, point in enumerate(one.points, 1)
            if point.estimate.value is not None
        ]
        if len(points) > 1:
            blocks.append(
                CurvePlot([Curve(one.label, points)], "run, the oldest first", one.metric, one.label)
            )
    changes = environment_changes(series)
    if changes:
        blocks.append(Grid(("run", "began", "what changed"), changes, "The environment changed"))
    runs = len({point.run for one in series for point in one.points})
    return plain_page("History", "pass", [f"{len(series)} values over {runs} runs"], blocks)
