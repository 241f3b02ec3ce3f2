"""Plots as SVG, drawn on our side. Positions are percentages, so that text keeps its size on any screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from markupsafe import Markup, escape

from bench.core.estimate import Estimate
from bench.core.page import Bar, CurvePlot, Dot, DotPlot, StripPlot
from bench.report.html.scale import Axis
from bench.report.html.words import estimate_text, number

_WIDE = 2.5
_HUES = 6  # colours that the style sheet has for curves


def element(name: str, attributes: dict[str, Any], *children: Markup | str) -> Markup:
    """Return an element; attributes and texts are escaped, None is left out."""
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), value)
        for key, value in attributes.items()
        if value is not None
    )
    inner = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, inner)


def scales_of(bars: Sequence[Bar]) -> dict[str, Axis]:
    """Return a scale for each metric of some bars, by its name."""
    found = {}
    for metric, members in groupby(sorted(bars, key=_metric), key=_metric):
        values: list[float | None] = []
        is_ratio, span = True, None
        for bar in members:
            span = span or bar.span
            values += [bar.estimate.low, bar.estimate.high, bar.estimate.value, bar.bound]
            is_ratio = is_ratio and bar.estimate.unit == "x"
        found[metric] = Axis(*span) if span else Axis.over(values, logarithmic=is_ratio)
    return found


def around_limit(bar: Bar, shared: Axis) -> Axis:
    """Return a scale on which all limits of one sort stand at one place, and `shared` for a bar without a limit.

    In a list it shows on which side of its limit a value is; what is far away is drawn at the end.
    """
    bound = bar.bound
    if bound is None or bound <= 0:
        return shared
    if bar.estimate.unit == "x":
        return Axis(bound / _WIDE, bound * _WIDE, True)
    return Axis(-0.5 * bound, 1.5 * bound)


def _metric(bar: Bar) -> str:
    return bar.estimate.metric or ""


def track(bar: Bar, scale: Axis) -> Markup:
    """Return an interval with its limit on a line; the side on which it would hold is shaded."""
    estimate, parts = bar.estimate, []
    if bar.bound is not None:
        at = scale.at(bar.bound)
        start, width = (0.0, at) if bar.at_most else (at, 100 - at)
        parts.append(
            element(
                "rect",
                {"class": "good", "x": f"{start}%", "y": 0, "width": f"{width:.2f}%", "height": "100%"},
            )
        )
    parts.append(element("line", {"class": "axis", "x1": "0%", "x2": "100%", "y1": "50%", "y2": "50%"}))
    if bar.bound is not None:
        at = scale.at(bar.bound)
        parts.append(
            element("line", {"class": "limit", "x1": f"{at}%", "x2": f"{at}%", "y1": 0, "y2": "100%"})
        )
    parts += _interval(estimate, scale)
    shown = f"{bar.label}: {estimate_text(estimate)}"
    if bar.bound is not None:
        side = "at most" if bar.at_most else "at least"
        shown += f", {side} {number(bar.bound, estimate.unit)}"
    return element(
        "svg", {"class": f"track v-{bar.verdict or 'none'}", "role": "img", "aria-label": shown},
        element("title", {}, shown), *parts,
    )  # fmt: skip


def _interval(estimate: Estimate, scale: Axis) -> Iterable[Markup]:
    if estimate.value is None:
        return
    if estimate.low is not None and estimate.high is not None:
        low, high = scale.at(estimate.low), scale.at(estimate.high)
        yield element(
            "line", {"class": "whisker", "x1": f"{low}%", "x2": f"{high}%", "y1": "50%", "y2": "50%"}
        )
    yield element("circle", {"class": "value", "cx": f"{scale.at(estimate.value)}%", "cy": "50%", "r": 4})


def dot_plot(plot: DotPlot, anchors: dict[str, str]) -> Markup:
    """Return dots with their intervals; each leads to its case.

    Args:
        plot: what to draw.
        anchors: of the cases, by id.
    """
    x = Axis.over(_ends((dot.x for dot in plot.dots), plot.x_limit), logarithmic=plot.logarithmic)
    y = Axis.over(_ends((dot.y for dot in plot.dots), plot.y_limit))
    parts: list[Markup] = []
    if plot.is_square:
        both = Axis(min(x.low, y.low), max(x.high, y.high))
        x = y = both
        parts.append(element("line", {"class": "equal", "x1": "0%", "y1": "100%", "x2": "100%", "y2": "0%"}))
    unit = plot.dots[0].x.unit if plot.dots else ""
    frame = _frame(x, y, (unit, plot.dots[0].y.unit if plot.dots else ""))
    for limit, scale, is_x in ((plot.x_limit, x, True), (plot.y_limit, y, False)):
        if limit is not None:
            parts.append(_line_across("limit", scale.at(limit), is_x=is_x))
    parts += [_dot(dot, x, y, anchors) for dot in plot.dots]
    return _plot(plot.x_title, plot.y_title, [*frame, *parts], square=plot.is_square)


def _ends(estimates: Iterable[Estimate], limit: float | None) -> list[float | None]:
    found: list[float | None] = [limit]
    for estimate in estimates:
        found += [estimate.low, estimate.value, estimate.high]
    return found


def _dot(dot: Dot, x: Axis, y: Axis, anchors: dict[str, str]) -> Markup:
    if dot.x.value is None or dot.y.value is None:
        return Markup("")
    at_x, at_y = f"{x.at(dot.x.value)}%", f"{100 - y.at(dot.y.value):.2f}%"
    shown = f"{dot.label}: {estimate_text(dot.x)}, {estimate_text(dot.y)}"
    parts = [element("title", {}, shown)]
    if dot.x.low is not None and dot.x.high is not None:
        ends = (f"{x.at(dot.x.low)}%", f"{x.at(dot.x.high)}%")
        parts.append(
            element("line", {"class": "error", "x1": ends[0], "x2": ends[1], "y1": at_y, "y2": at_y})
        )
    if dot.y.low is not None and dot.y.high is not None:
        ends = (f"{100 - y.at(dot.y.low):.2f}%", f"{100 - y.at(dot.y.high):.2f}%")
        parts.append(
            element("line", {"class": "error", "x1": at_x, "x2": at_x, "y1": ends[0], "y2": ends[1]})
        )
    parts.append(element("circle", {"class": "value", "cx": at_x, "cy": at_y, "r": 5}))
    target = anchors.get(dot.case)
    kind = f"dot v-{dot.verdict or 'none'}"
    if target is None:
        return element("g", {"class": kind}, *parts)
    return element("a", {"class": kind, "href": f"#{target}", "aria-label": shown}, *parts)


def curve_plot(plot: CurvePlot) -> Markup:
    """Return curves with bands of their intervals, and a legend."""
    places = [place for curve in plot.curves for place, _ in curve.points]
    is_wide = bool(places) and min(places) > 0 and max(places) / min(places) >= 10
    x = Axis.over(places, logarithmic=is_wide, margin=0.02)
    y = Axis.over(
        [end for curve in plot.curves for _, e in curve.points for end in (e.low, e.value, e.high)],
        margin=0.04,
    )
    parts = []
    for index, curve in enumerate(plot.curves):
        known = [(place, e) for place, e in curve.points if e.value is not None]
        line = " ".join(f"{x.at(p)},{100 - y.at(e.value):.2f}" for p, e in known if e.value is not None)
        band = [
            (x.at(p), 100 - y.at(e.low), 100 - y.at(e.high))
            for p, e in known
            if e.low is not None and e.high is not None
        ]
        area = [f"{p},{low:.2f}" for p, low, _ in band] + [f"{p},{high:.2f}" for p, _, high in reversed(band)]
        parts += [
            element("polygon", {"class": f"band h{index % _HUES}", "points": " ".join(area)}),
            element("polyline", {"class": f"curve h{index % _HUES}", "points": line}),
        ]
    inner = element(
        "svg",
        {"viewBox": "0 0 100 100", "preserveAspectRatio": "none", "width": "100%", "height": "100%"},
        *parts,
    )
    drawn = _plot(plot.x_title, plot.y_title, [*_frame(x, y, ("", _unit(plot))), inner])
    legend = [
        element("span", {"class": f"key h{index % _HUES}"}, curve.label)
        for index, curve in enumerate(plot.curves)
    ]
    return drawn + element("p", {"class": "legend"}, *legend)


def _unit(plot: CurvePlot) -> str:
    return next((e.unit for curve in plot.curves for _, e in curve.points), "")


def strip_plot(plot: StripPlot) -> Markup:
    """Return a line for each strip with its values, and their median as a mark."""
    scale = Axis.over([*(value for strip in plot.strips for value in strip.values), plot.limit])
    rows = []
    for strip in plot.strips:
        parts = [element("line", {"class": "axis", "x1": "0%", "x2": "100%", "y1": "50%", "y2": "50%"})]
        if plot.limit is not None:
            at = f"{scale.at(plot.limit)}%"
            parts.append(element("line", {"class": "limit", "x1": at, "x2": at, "y1": 0, "y2": "100%"}))
        parts += [
            element("circle", {"class": "single", "cx": f"{scale.at(value)}%", "cy": "50%", "r": 3.5})
            for value in strip.values
        ]
        middle = sorted(strip.values)[len(strip.values) // 2] if strip.values else None
        if middle is not None:
            at = f"{scale.at(middle)}%"
            parts.append(element("line", {"class": "median", "x1": at, "x2": at, "y1": "12%", "y2": "88%"}))
        shown = f"{strip.label}: {', '.join(number(value, plot.unit) for value in strip.values)}"
        drawn = element(
            "svg", {"class": "track", "role": "img", "aria-label": shown}, element("title", {}, shown), *parts
        )
        rows.append(
            element(
                "div", {"class": "bar"}, element("span", {"class": "label"}, strip.label), drawn,
                element("span", {"class": "num"}, f"median {number(middle, plot.unit)}"),
            )
        )  # fmt: skip
    return element("div", {"class": "forest"}, *rows)


def _frame(x: Axis, y: Axis, units: tuple[str, str]) -> list[Markup]:
    """Return grid lines and the numbers on both axes."""
    parts = []
    for value in x.ticks():
        at = x.at(value)
        parts.append(_line_across("tick", at, is_x=True))
        parts.append(
            element(
                "text",
                {"class": "tick x", "x": f"{at}%", "y": "100%", "dy": "1.4em"},
                number(value, units[0]),
            )
        )
    for value in y.ticks():
        at = 100 - y.at(value)
        parts.append(_line_across("tick", 100 - at, is_x=False))
        parts.append(
            element(
                "text",
                {"class": "tick y", "x": "0%", "y": f"{at:.2f}%", "dx": "-.6em", "dy": ".32em"},
                number(value, units[1]),
            )
        )
    return parts


def _line_across(kind: str, at: float, *, is_x: bool) -> Markup:
    if is_x:
        ends = {"x1": f"{at}%", "x2": f"{at}%", "y1": "0%", "y2": "100%"}
    else:
        ends = {"x1": "0%", "x2": "100%", "y1": f"{100 - at:.2f}%", "y2": f"{100 - at:.2f}%"}
    return element("line", {"class": kind, **ends})


def _plot(x_title: str, y_title: str, parts: Sequence[Markup], *, square: bool = False) -> Markup:
    drawn = element("svg", {"role": "img", "aria-label": f"{y_title} against {x_title}"}, *parts)
    return element(
        "div", {"class": "plot square" if square else "plot"},
        element("div", {"class": "y-title"}, y_title), element("div", {"class": "canvas"}, drawn),
        element("div", {"class": "x-title"}, x_title),
    )  # fmt: skip
