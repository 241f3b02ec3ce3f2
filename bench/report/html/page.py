"""The page of a run: its records and the views of their kinds, as one HTML file."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from bench.core.files import replace_file
from bench.core.kind import Kind
from bench.core.page import Bar, Block, CaseView, ImagePairs, KindView, PageRequest
from bench.core.record import Json, Record
from bench.report.html import svg, words
from bench.report.html.images import ImageStore
from bench.report.html.plain import plain_view
from bench.report.html.scale import Axis
from bench.report.results import ResultsFile, summarize

if TYPE_CHECKING:
    import jinja2

NAME = "report.html"
_FOLDER = Path(__file__).parent
#: From what a reader has to look at first to what needs no look.
_URGENCY = ("fail", "error", "inconclusive", "skip", "pass")
_MOST_BARS = 2  # in the list of cases


@dataclass(frozen=True)
class PageRow:
    """A case in the list.

    Attributes:
        record, view: of the case.
        anchor: id of its element.
        bars: its main estimates, each with its scale.
        blocks: what opens with it.
        urgency: place in the order of verdicts.
        sort: numbers to sort by, by name.
    """

    record: Record
    view: CaseView
    anchor: str
    bars: Sequence[tuple[Bar, Axis]]
    blocks: Sequence[Block]
    urgency: int
    sort: Mapping[str, float]

    @property
    def is_control(self) -> bool:
        """Whether it had to be rejected."""
        return self.record.control is not None


@dataclass(frozen=True)
class KindPart:
    """The cases of a kind: blocks of all of them, and how many passed."""

    kind: str
    blocks: Sequence[Block]
    tasks: int
    passed: int


@dataclass
class Page:
    """What the template is given.

    Attributes:
        run: what is known of the run.
        summary: counts of its tasks.
        parts: a kind each.
        rows: a case each, in the order of the results.
        facets: values to filter by, by name.
        sorts: names of numbers to sort by.
        problems: what could not be shown.
        anchors: of each case, by kind and id.
    """

    run: Json
    summary: Json
    parts: list[KindPart] = field(default_factory=list)
    rows: list[PageRow] = field(default_factory=list)
    facets: dict[str, list[str]] = field(default_factory=dict)
    sorts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    anchors: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def open_rows(self) -> list[PageRow]:
        """The cases that did not pass, the ones to look at first before the others."""
        return sorted(
            (row for row in self.rows if row.urgency < _URGENCY.index("skip")), key=lambda row: row.urgency
        )


def write_page(results: ResultsFile, kinds: Mapping[str, Kind]) -> Path:
    """Write ``report.html`` next to the results of a run and return its path.

    Raises:
        OSError: when it cannot be written.
    """
    path = results.path.with_name(NAME)
    replace_file(path, page(results.run, results.ordered(), kinds, results.path.parent))
    return path


def page(run: Json, records: Sequence[Record], kinds: Mapping[str, Kind], directory: Path) -> str:
    """Return the page of a run.

    A kind whose view cannot be made costs its cases their details; the page says so.

    Args:
        run: what is known of the run.
        records: in their order.
        kinds: by name.
        directory: of the run; files that records name lie below it.
    """
    made = Page(run, summarize(records))
    for name in dict.fromkeys(record.kind for record in records):
        members = [record for record in records if record.kind == name]
        _add_kind(made, kinds[name], PageRequest(directory, members))
    made.facets = _facets(made.rows)
    made.sorts = list(dict.fromkeys(name for row in made.rows for name in row.sort))
    return _drawn(made)


def _add_kind(made: Page, kind: Kind, request: PageRequest) -> None:
    view = _view(made, kind, request)
    anchors = made.anchors[kind.name] = _anchors(kind.name, request.records)
    views = [view.cases.get(record.id, CaseView()) for record in request.records]
    scales = svg.scales_of([bar for one in views for bar in one.bars])
    for record, one in zip(request.records, views, strict=True):
        made.rows.append(
            PageRow(
                record=record,
                view=one,
                anchor=anchors[record.id],
                bars=[
                    (bar, svg.around_limit(bar, scales[bar.estimate.metric or ""]))
                    for bar in one.bars[:_MOST_BARS]
                ],
                blocks=one.blocks,
                urgency=_URGENCY.index(record.verdict),
                sort={
                    bar.estimate.metric.replace("_", " "): bar.estimate.value
                    for bar in one.bars[:_MOST_BARS]
                    if bar.estimate.value is not None and bar.estimate.metric
                },
            )
        )
    tasks = [record for record in request.records if record.control is None]
    passed = sum(record.verdict == "pass" for record in tasks)
    made.parts.append(KindPart(kind.name, view.blocks, len(tasks), passed))


def _view(made: Page, kind: Kind, request: PageRequest) -> KindView:
    if kind.page is None:
        return plain_view(request)
    try:
        return kind.page(request)
    except Exception as error:  # a file of the run that is damaged must not cost the whole page
        made.problems.append(
            f"The details of the {kind.name} cases are left out: {type(error).__name__}: {error}"
        )
        return plain_view(request)


def _anchors(kind: str, records: Iterable[Record]) -> dict[str, str]:
    """Return an id of an element for each case, the same in every run."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for record in records:
        anchor = re.sub(r"[^A-Za-z0-9_.+-]", "_", f"{kind}.{record.id}")
        while anchor in taken:
            anchor += "_"
        taken.add(anchor)
        found[record.id] = anchor
    return found


def _facets(rows: Sequence[PageRow]) -> dict[str, list[str]]:
    """Return what the cases can be filtered by, where there is something to choose."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for name, values in row_facets(row).items():
            found.setdefault(name, {}).update(dict.fromkeys(values))
    return {
        name: list(values) if name in ("verdict", "kind", "difficulty") else sorted(values)
        for name, values in found.items()
        if len(values) > 1
    }


def row_facets(row: PageRow) -> dict[str, list[str]]:
    """Return the values of a case that it can be found by."""
    record = row.record
    common = {"kind": record.kind, "difficulty": record.difficulty, "level": record.level}
    of_all = {name: [value] for name, value in common.items() if value}
    of_all["verdict"] = [words.VERDICT_WORDS[record.verdict]]
    of_all["role"] = ["control" if row.is_control else "task"]
    return of_all | {name: [str(value) for value in values] for name, values in row.view.facets.items()}


def _drawn(made: Page) -> str:
    style, script = _text("style.css"), _text("script.js")
    store = ImageStore(sum(_has_images(row.blocks) for row in made.rows))
    return _environment().get_template("page.html.j2").render(
        page=made, run=made.run, store=store, style=Markup(style), script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    )  # fmt: skip


def plain_page(title: str, verdict: str, lead: Sequence[str], blocks: Sequence[Block], foot: str = "") -> str:
    """Return a page of blocks without cases and without JavaScript.

    Args:
        title: its headline.
        verdict: whose sign stands before it.
        lead: lines below it.
        blocks: in their order.
        foot: a line at the end.
    """
    return _environment().get_template("plain.html.j2").render(
        title=title, verdict=verdict, lead=lead, blocks=blocks, foot=foot, style=Markup(_text("style.css")),
    )  # fmt: skip


def _has_images(blocks: Iterable[Block]) -> bool:
    return any(isinstance(block, ImagePairs) and bool(block.pairs) for block in blocks)


@cache
def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _environment() -> jinja2.Environment:
    import jinja2  # noqa: PLC0415  a run without a page need not load it

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.globals |= _helpers()
    return environment


def _helpers() -> dict[str, Any]:
    return {
        "svg": svg,
        "words": words,
        "row_facets": row_facets,
        "shape": lambda block: type(block).__name__,
        "elapsed": words.elapsed,
    }
