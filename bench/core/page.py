"""What the page of a run shows, as blocks that know nothing of HTML and of kinds.

A kind gives its view (`Kind.page`): what to show of all its cases, and of each. `bench.report.html` draws it. Any text may
come from a candidate or a dataset, so what draws it has to escape it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from bench.core.estimate import Estimate
from bench.core.gate import side
from bench.core.record import Record

_LARGE = 100
Tone = Literal["plain", "good", "bad", "unsure"]


@dataclass(frozen=True)
class NamedFacts:
    """Names with what is known of them."""

    rows: Sequence[tuple[str, str]]
    title: str = ""


@dataclass(frozen=True)
class Prose:
    """Sentences.

    Attributes:
        lines: each a paragraph.
        tone: how the reader should take them.
        is_verbatim: whether blanks and line ends count, as in the output of a program.
    """

    lines: Sequence[str]
    title: str = ""
    tone: Tone = "plain"
    is_verbatim: bool = False


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        header: names of the columns.
        rows: cells, each as long as the header.
        numeric: columns that are aligned to the right.
        note: a sentence below.
        marked: rows that a reader should see first.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    numeric: frozenset[int] = frozenset()
    note: str = ""
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Bar:
    """An estimate next to its limit.

    Attributes:
        label: what was measured, of what.
        estimate: value and interval.
        bound: the limit in the unit of the estimate; None where there is none.
        at_most: whether the limit is an upper one.
        verdict: ``pass``, ``fail`` or ``inconclusive``; empty where nothing is decided.
        case: id of the case that it leads to; empty for none.
        span: what the metric can be from and to, for its scale; None where it has no ends.
    """

    label: str
    estimate: Estimate
    bound: float | None = None
    at_most: bool = False
    verdict: str = ""
    case: str = ""
    span: tuple[float, float] | None = None

    def judged(self, *, strict: bool = False) -> Bar:
        """Return the bar with the verdict of its interval, by the rule of every gate.

        Args:
            strict: whether the bound itself is not good enough.
        """
        low, high, bound = self.estimate.low, self.estimate.high, self.bound
        if bound is None or low is None or high is None:
            return self
        return replace(self, verdict=side(low, high, bound, at_most=self.at_most, strict=strict))


@dataclass(frozen=True)
class Forest:
    """Intervals against limits, a row for each. Each metric has a scale of its own."""

    bars: Sequence[Bar]
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class Dot:
    """A place in a plane.

    Attributes:
        label: what it stands for.
        x, y: values with their intervals.
        verdict: of what it stands for; empty for none.
        case: id of the case that it leads to; empty for none.
    """

    label: str
    x: Estimate
    y: Estimate
    verdict: str = ""
    case: str = ""


@dataclass(frozen=True)
class DotPlot:
    """Dots in a plane.

    Attributes:
        dots: drawn in their order.
        x_title, y_title: with their units.
        x_limit, y_limit: lines that many of the dots are held against; None for none.
        is_square: whether both axes have one scale, with a line where they are equal.
        logarithmic: whether the x axis is.
    """

    dots: Sequence[Dot]
    x_title: str
    y_title: str
    title: str = ""
    x_limit: float | None = None
    y_limit: float | None = None
    is_square: bool = False
    logarithmic: bool = False
    note: str = ""


@dataclass(frozen=True)
class Curve:
    """Estimates along an axis, such as recall at each cut-off."""

    label: str
    points: Sequence[tuple[float, Estimate]]


@dataclass(frozen=True)
class CurvePlot:
    """Curves with their intervals. The x axis is logarithmic where its values span a factor of ten or more."""

    curves: Sequence[Curve]
    x_title: str
    y_title: str
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class Strip:
    """Single values that belong together, such as the rounds of a launch."""

    label: str
    values: Sequence[float]


@dataclass(frozen=True)
class StripPlot:
    """Single values on one scale, a line for each group.

    Attributes:
        limit: a line that they are held against; None for none.
        unit: of the values.
    """

    strips: Sequence[Strip]
    title: str = ""
    unit: str = ""
    limit: float | None = None
    note: str = ""


@dataclass(frozen=True)
class ImagePair:
    """Two images or short videos of the same thing.

    Attributes:
        caption: what they are to show.
        left, right: files.
        facts: what was measured of them.
    """

    caption: str
    left: Path
    right: Path
    facts: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class ImagePairs:
    """Pairs to compare, the most telling one first.

    Attributes:
        left_name, right_name: what both sides are.
    """

    pairs: Sequence[ImagePair]
    left_name: str
    right_name: str
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class TextSample:
    """A sample to read.

    Attributes:
        title: which one.
        mark: in a word what became of it, such as ``wrong``.
        parts: its texts by name.
        tone: of the mark.
    """

    title: str
    mark: str
    parts: Sequence[tuple[str, str]]
    tone: Tone = "bad"


@dataclass(frozen=True)
class TextSamples:
    """Samples to read."""

    samples: Sequence[TextSample]
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class Fold:
    """Blocks behind a line that opens them."""

    title: str
    blocks: Sequence[Block]


Block = NamedFacts | Prose | Grid | Forest | DotPlot | CurvePlot | StripPlot | ImagePairs | TextSamples | Fold


@dataclass(frozen=True)
class CaseView:
    """What is shown of one case.

    Attributes:
        blocks: below its verdict and reason.
        bars: its main estimates, also drawn in the list of cases.
        facets: what cases can be filtered by besides kind and verdict, such as ``model``.
    """

    blocks: Sequence[Block] = ()
    bars: Sequence[Bar] = ()
    facets: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class KindView:
    """What is shown of the cases of a kind.

    Attributes:
        blocks: of all cases together.
        cases: by the id of the record.
    """

    blocks: Sequence[Block] = ()
    cases: Mapping[str, CaseView] = field(default_factory=dict)


@dataclass(frozen=True)
class PageRequest:
    """What a kind makes its view of.

    Attributes:
        directory: of the run; files that records name lie below it, if they are still there.
        records: of the kind, in their order.
    """

    directory: Path
    records: Sequence[Record]

    @property
    def is_large(self) -> bool:
        """Whether there are so many cases that each should show the most telling samples alone."""
        return len(self.records) > _LARGE

    def file(self, record: Record, name: str) -> Path | None:
        """Return a file or folder of a record, None where it is not there.

        A path that leads out of the run's directory is none of the run's files.
        """
        path = (record.files or {}).get(name)
        if path is None:
            return None
        found = (self.directory / path).resolve()
        return found if found.exists() and found.is_relative_to(self.directory.resolve()) else None
