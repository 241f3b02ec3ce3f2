"""What the page shows of all acceleration cases: groups, speedup against loss, intervals against limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from bench.acceleration import report
from bench.acceleration.page import reading
from bench.acceleration.page.case_view import case_view
from bench.core.page import Bar, Block, Dot, DotPlot, Forest, Grid, KindView, PageRequest
from bench.core.record import Record

_MOST_BARS = 40


def view(request: PageRequest) -> KindView:
    """Return the view of the acceleration cases of a run."""
    tasks = [record for record in request.records if record.control is None]
    blocks = [
        *_plane(tasks),
        *_forest(tasks, reading.speed_bar, "Speedups against their limits"),
        *_forest(tasks, reading.loss_bar, "Quality losses against their limits"),
        *_groups(tasks),
    ]
    return KindView(blocks, {record.id: case_view(request, record) for record in request.records})


def _plane(tasks: Sequence[Record]) -> list[Block]:
    dots, allowed = [], Counter[float]()
    for record in tasks:
        speed, loss = reading.speed_bar(record), reading.loss_bar(record)
        if speed is not None and loss is not None:
            dots.append(Dot(record.id, speed.estimate, loss.estimate, record.verdict, record.id))
            if loss.bound is not None:
                allowed[loss.bound] += 1
    if not dots:
        return []
    limit = allowed.most_common(1)[0][0] if allowed else None
    note = (
        "Each dot is a task with its 95 % intervals, and leads to its case. Down and to the right is better."
    )
    if limit is not None:
        note += f" The dashed line is the loss that {'all' if len(allowed) == 1 else 'most'} tasks allow, {limit:g} %."
    return [
        DotPlot(
            dots, "speedup", "quality loss", "Speedup against quality loss",
            x_limit=1.0, y_limit=limit, logarithmic=True, note=note,
        )
    ]  # fmt: skip


def _forest(tasks: Sequence[Record], make: Callable[[Record, str], Bar | None], title: str) -> list[Block]:
    """Return the bars that have a limit: what does not hold first, then what is closest to its limit."""
    bars = [bar for record in tasks if (bar := make(record, record.id)) is not None and bar.bound is not None]
    if not bars:
        return []
    order = {"fail": 0, "inconclusive": 1}
    bars.sort(key=lambda bar: (order.get(bar.verdict, 2), _distance(bar)))
    left = len(bars) - _MOST_BARS
    note = f"The closest to their limits; {left} more are further inside." if left > 0 else ""
    return [Forest(bars[:_MOST_BARS], title, note)]


def _distance(bar: Bar) -> float:
    if bar.bound is None or bar.estimate.value is None:
        return 0.0
    return abs(bar.estimate.value - bar.bound) / (abs(bar.bound) or 1.0)


def _groups(tasks: Sequence[Record]) -> list[Block]:
    rows = report.group_rows(tasks)
    return (
        [Grid(report.GROUP_HEADER, rows, "Groups", numeric=frozenset(range(1, len(report.GROUP_HEADER))))]
        if tasks
        else []
    )
