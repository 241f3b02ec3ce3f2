"""A comparison of runs in words: lines for a terminal, Markdown for a comment, blocks for a page."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from bench.core.estimate import Estimate
from bench.core.names import counted
from bench.core.page import Bar, Block, Forest, Grid
from bench.report.compare import LEVEL, CaseChange, Change, Comparison
from bench.report.html.page import plain_page
from bench.report.html.words import estimate_text, number
from bench.report.layout import folded, line_width, table
from bench.report.size import COMMENT_BYTES, TitledTable, fitted

_FLIPS = ("case", "before", "after", "why")
_CHANGES = ("case", "metric", "before", "after", "change [95 %]", "p (Holm)")
_UNLIKE = ("case", "metric", "before", "after")
_MEASURED_ONCE = "Measured in one run alone"
_MOST_ROWS = 40  # in a terminal
_MOST_REASON = 120


def summary_line(comparison: Comparison) -> str:
    """Return what a comparison came to in one sentence."""
    worse, better = len(comparison.regressions), sum(case.is_better for case in comparison.cases)
    flips = sum(case.flips for case in comparison.cases)
    parts = [counted(flips, "verdict flip"), counted(worse, "regression"), f"{better} better"]
    missing = len(comparison.missing)
    if missing:
        parts.append(f"{counted(missing, 'case')} in one run alone")
    return ", ".join(parts)


def tested_line(comparison: Comparison) -> str:
    """Return how changes were tested."""
    paired = sum(change.is_paired for case in comparison.cases for change in case.changes)
    return (
        f"{comparison.tests} changes tested, {paired} of them on the same samples; p is corrected by Holm's rule, and below "
        f"{LEVEL:g} a change is called real"
    )


def lines(comparison: Comparison) -> list[str]:
    """Return a comparison for a terminal."""
    found = [
        f"{' and '.join(comparison.names[1:])} against {comparison.names[0]}",
        *_in_lines(summary_line(comparison)),
    ]
    flips = flip_rows(comparison)
    if flips:
        found += ["", "verdict flips", *_first(_FLIPS, _with_short_reasons(flips))]
    changes = change_rows(comparison)
    if changes:
        found += ["", "changes", *_first(_CHANGES, changes)]
    unlike = unlike_rows(comparison)
    if unlike:
        found += ["", _MEASURED_ONCE.lower(), *_first(_UNLIKE, unlike)]
    for name, rows in comparison.surroundings.items():
        if rows:
            found += ["", f"run in another way: {name}", *_fitting([("what", "before", "after"), *rows])]
    missing = missing_rows(comparison)
    if missing:
        found += ["", "in one run alone", *_first(("case", "run"), missing)]
    return [*found, "", *_in_lines(tested_line(comparison))]


def _first(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Return the first rows of a table as lines, and how many more there are."""
    more = len(rows) - _MOST_ROWS
    return [
        *_fitting([header, *rows[:_MOST_ROWS]]),
        *([f"{more} more; --html or --markdown has them"] if more > 0 else []),
    ]


def _in_lines(text: str) -> list[str]:
    return textwrap.wrap(text, line_width(), break_long_words=False, break_on_hyphens=False)


def _fitting(rows: list[tuple[str, ...]]) -> list[str]:
    return folded(rows, line_width())


def markdown(comparison: Comparison, limit: int = COMMENT_BYTES) -> str:
    """Return a comparison as Markdown of at most so many bytes; what does not fit is counted.

    Args:
        comparison: what to write.
        limit: bytes.
    """
    others = " and ".join(comparison.names[1:])
    head = [f"## Modelgate: {others} against {comparison.names[0]}", f"**{summary_line(comparison)}**"]
    tables: list[TitledTable] = []
    found: list[TitledTable] = [
        ("Verdict flips", _FLIPS, flip_rows(comparison)),
        ("Changes", _CHANGES, change_rows(comparison)),
        (_MEASURED_ONCE, _UNLIKE, unlike_rows(comparison)),
        *(
            (f"Run in another way: {name}", ("what", "before", "after"), list(rows))
            for name, rows in comparison.surroundings.items()
        ),
        ("In one run alone", ("case", "run"), missing_rows(comparison)),
    ]
    for title, header, rows in found:
        if rows:
            tables.append((f"### {title}", header, rows))
    return fitted(head, tables, [tested_line(comparison)], table, limit)


def html(comparison: Comparison) -> str:
    """Return a comparison as a page."""
    blocks: list[Block] = []
    flips, changes = flip_rows(comparison), change_rows(comparison)
    if flips:
        blocks.append(Grid(_FLIPS, flips, "Verdict flips"))
    bars = _bars(comparison)
    if bars:
        note = "Differences, or of ratios factors, with 95 % intervals that are not corrected. The line is no change."
        blocks.append(Forest(bars, "What changed most surely", note))
    if changes:
        real = frozenset(
            place
            for place, (_, change) in enumerate(_ordered(comparison))
            if change.is_real and change.is_worse
        )
        blocks.append(Grid(_CHANGES, changes, "All changes", frozenset({5}), tested_line(comparison), real))
    unlike = unlike_rows(comparison)
    if unlike:
        blocks.append(Grid(_UNLIKE, unlike, _MEASURED_ONCE, frozenset({2, 3})))
    for name, rows in comparison.surroundings.items():
        if rows:
            blocks.append(Grid(("what", "before", "after"), rows, f"Run in another way: {name}"))
    missing = missing_rows(comparison)
    if missing:
        blocks.append(Grid(("case", "run"), missing, "In one run alone"))
    verdict = "fail" if comparison.regressions else "pass"
    title = f"{' and '.join(comparison.names[1:])} against {comparison.names[0]}"
    return plain_page(title, verdict, [summary_line(comparison)], blocks)


def _bars(comparison: Comparison) -> list[Bar]:
    found = []
    for case, change in _ordered(comparison)[:_MOST_ROWS]:
        if change.change is not None and change.change.has_interval:
            verdict = ("fail" if change.is_worse else "pass") if change.is_real else ""
            metric = f"{change.metric} {case.key[0]}"  # a scale for each metric
            estimate = Estimate(
                metric=metric, value=change.change.value, low=change.change.low, high=change.change.high,
                unit=change.change.unit,
            )  # fmt: skip
            neutral = 1.0 if change.change.unit == "x" else 0.0
            is_less_better = not change.after.higher_is_better
            found.append(Bar(f"{case.key[1]}: {change.metric}", estimate, neutral, is_less_better, verdict))
    return found


def flip_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return the cases whose verdict is another one, lost passes first."""
    flips = [case for case in comparison.cases if case.flips]
    flips.sort(key=lambda case: not case.is_regression)
    return [
        (_label(case, comparison), case.before.verdict, case.after.verdict, case.after.reason)
        for case in flips
        if case.before is not None and case.after is not None
    ]


def change_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return a row for each change that can be told, the surest first."""
    return [
        (
            _label(case, comparison), change.metric, number(change.before.value, change.before.unit),
            number(change.after.value, change.after.unit), _change_text(change), _p_text(change),
        )
        for case, change in _ordered(comparison)
    ]  # fmt: skip


def _ordered(comparison: Comparison) -> list[tuple[CaseChange, Change]]:
    pairs = [
        (case, change)
        for case in comparison.cases
        for change in case.changes
        if change.change is not None and change.before.value != change.after.value
    ]
    return sorted(
        pairs, key=lambda pair: (pair[1].adjusted is None, pair[1].adjusted or 0.0, pair[1].p or 0.0)
    )


def unlike_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return the main estimates that one of two runs has no value of, so that nothing is said of their change."""
    return [
        (_label(case, comparison), metric, *(_value(side) for side in sides))
        for case in comparison.cases
        for metric, *sides in case.unlike
    ]


def _value(estimate: Estimate | None) -> str:
    return "–" if estimate is None else number(estimate.value, estimate.unit)


def missing_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return the cases that one of two runs lacks, with the run that has it."""
    return [
        (f"{case.key[0]}: {case.key[1]}", case.run if case.before is None else comparison.names[0])
        for case in comparison.missing
    ]


def _label(case: CaseChange, comparison: Comparison) -> str:
    return case.key[1] if len(comparison.others) == 1 else f"{case.key[1]} ({case.run})"


def _change_text(change: Change) -> str:
    if change.change is None:
        return "–"
    text = estimate_text(change.change)
    sign = "+" if change.change.unit != "x" and (change.change.value or 0) > 0 else ""
    word = "" if not change.is_real else " worse" if change.is_worse else " better"
    return f"{sign}{text}{word}"


def _p_text(change: Change) -> str:
    if change.adjusted is None:
        return "no interval"
    return "< 0.001" if change.adjusted < 0.001 else f"{change.adjusted:.3f}"


def _with_short_reasons(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [
        (*row[:-1], row[-1] if len(row[-1]) <= _MOST_REASON else f"{row[-1][: _MOST_REASON - 1]}…")
        for row in rows
    ]
