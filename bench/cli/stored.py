"""The commands about stored runs: ``compare``, ``merge``, ``table`` and ``history``; how any command is run."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli.numbers import path
from bench.cli.refusing import refuse
from bench.core.errors import FULL, UsageProblem
from bench.core.files import describe_error, write_output
from bench.core.names import listed

if TYPE_CHECKING:
    from bench.core.kind import Kind
    from bench.report.history import Series
    from bench.report.runs import StoredRun

FAILED = 1
_RUN = "directory of a run, or its evaluation_results.json"


def add_commands(commands: Any) -> None:
    """Add the commands to the parser of all commands; each names its function as ``do``."""
    _add_compare(commands)
    _add_merge(commands)
    _add_table(commands)
    _add_history(commands)


def run_command(given: argparse.Namespace) -> int:
    """Run the command that was given, of whatever module; return the exit code: 4 for what cannot be used."""
    do: Callable[[argparse.Namespace], int] = given.do
    try:
        return do(given)
    except UsageProblem as problem:
        said = str(problem)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        room = "make room there, or " if error.errno in FULL else ""
        said = f"{place}{describe_error(error)}; {room}choose another place"
    return refuse(said, as_json=getattr(given, "json", False))


def _kinds() -> Mapping[str, Kind]:
    from bench.kinds import KINDS  # noqa: PLC0415  other commands need no kind, and importing them all takes its time

    return KINDS


def _loaded(paths: Sequence[Path]) -> list[StoredRun]:
    from bench.report.runs import load_run  # noqa: PLC0415  as above

    return [load_run(path, _kinds()) for path in paths]


def _add_compare(commands: Any) -> None:
    parser = commands.add_parser(
        "compare", help="what changed from one run to others, case by case",
        description="Compare runs with the first one: verdict flips first, then changes in speedup, loss and score, each "
        "with an interval and a test, corrected by Holm's rule.",
    )  # fmt: skip
    parser.add_argument("base", type=path, metavar="A", help=_RUN)
    parser.add_argument("others", type=path, nargs="+", metavar="B", help="runs that are held against it")
    parser.add_argument(
        "--markdown",
        type=path,
        metavar="FILE",
        help="write it as Markdown of under 64 kB; - prints it in place of the tables",
    )
    parser.add_argument("--html", type=path, metavar="FILE", help="write it as a page")
    parser.add_argument(
        "--fail-on", choices=("regression",),
        help="exit with 1 where a case that passed does not pass, or a main estimate got worse by more than chance",
    )  # fmt: skip
    parser.set_defaults(do=_compare)


def _compare(given: argparse.Namespace) -> int:
    from bench.report.compare import compare_runs  # noqa: PLC0415  each command loads what it needs
    from bench.report.compare_text import html, lines, markdown  # noqa: PLC0415

    runs = _loaded([given.base, *given.others])
    comparison = compare_runs(runs[0], runs[1:], _kinds())
    if given.markdown == Path("-"):
        print(markdown(comparison), end="")
    else:
        print("\n".join(lines(comparison)))
        if given.markdown:
            write_output(given.markdown, markdown(comparison))
    if given.html:
        write_output(given.html, html(comparison))
    return FAILED if given.fail_on and comparison.regressions else 0


def _add_merge(commands: Any) -> None:
    parser = commands.add_parser(
        "merge", help="join runs, such as shards, into one",
        description="Join runs into one: of a case that several runs have, the latest record that was decided counts. "
        "What none of them has decided is listed.",
    )  # fmt: skip
    parser.add_argument("runs", type=path, nargs="+", metavar="RUN", help=_RUN)
    parser.add_argument("--out", type=path, required=True, metavar="DIR", help="a new or empty folder")
    parser.add_argument("--no-html", action="store_true", help="write no report.html")
    parser.set_defaults(do=_merge)


def _merge(given: argparse.Namespace) -> int:
    from bench.run.merge import merge_runs, write_merged  # noqa: PLC0415

    merged = merge_runs(_loaded(given.runs), _kinds())
    print("\n".join(write_merged(merged, given.out, _kinds(), with_page=not given.no_html)))
    return FAILED if merged.gaps else 0


def _add_table(commands: Any) -> None:
    parser = commands.add_parser(
        "table", help="a table of a run for a pull request",
        description="Print a table in Markdown: a row for each case, with the speedup by wall time, PSNR, SSIM, LPIPS and "
        "CLIP where they were measured, each with its 95 %% interval.",
    )  # fmt: skip
    parser.add_argument("run", type=path, metavar="RUN", help=_RUN)
    parser.add_argument("--columns", nargs="+", default=[], metavar="NAME", help="which columns, or `all`")
    parser.add_argument(
        "--cases", nargs="+", default=[], metavar="TEXT", help="only cases whose id holds one of these"
    )
    parser.add_argument("--controls", action="store_true", help="with the controls")
    parser.add_argument("--no-intervals", action="store_true", help="values alone")
    parser.set_defaults(do=_table)


def _table(given: argparse.Namespace) -> int:
    from bench.report.shared_table import shared_table  # noqa: PLC0415

    names = [name for text in given.columns for name in text.split(",") if name]
    (run,) = _loaded([given.run])
    print(
        shared_table(
            run,
            _kinds(),
            columns=names,
            cases=given.cases,
            controls=given.controls,
            intervals=not given.no_intervals,
        ),
        end="",
    )
    return 0


def _add_history(commands: Any) -> None:
    parser = commands.add_parser(
        "history", help="what a case came to over many runs",
        description="Show what a file of --history has collected: values over time, where they changed, and what changed "
        "in the environment.",
    )  # fmt: skip
    parser.add_argument("file", type=path, metavar="FILE", help="SQLite file that --history writes")
    parser.add_argument(
        "--add", type=path, nargs="+", default=[], metavar="RUN", help="add stored runs first"
    )
    parser.add_argument(
        "--cases", nargs="+", default=[], metavar="TEXT", help="only cases whose id holds one of these"
    )
    parser.add_argument("--metric", metavar="NAME", help="only this metric")
    parser.add_argument("--html", type=path, metavar="FILE", help="write it as a page")
    parser.set_defaults(do=_history)


def _history(given: argparse.Namespace) -> int:
    from bench.report.history import History  # noqa: PLC0415
    from bench.report.history_text import html, lines  # noqa: PLC0415

    runs = _loaded(given.add)
    with History(given.file, must_exist=not given.add) as history:
        for run in runs:
            history.add(run, _kinds())
        series = history.series(cases=given.cases, metric=given.metric)
        if not series:
            raise UsageProblem(_nothing_of(given.file, history.series(), given.cases, given.metric))
        print("\n".join(lines(series)))
        if given.html:
            write_output(given.html, html(series))
    return 0


def _nothing_of(file: Path, known: Sequence[Series], cases: Sequence[str], metric: str | None) -> str:
    """Return why a history shows nothing: which names it has in the place of those that were given."""
    if not known:
        return f"{file}: found no run in it, expected some; add runs with --add"
    metrics = dict.fromkeys(one.metric for one in known)
    if metric is not None and metric not in metrics:
        return f"--metric {metric}: no case has it; expected one of {listed(metrics)}; correct the name"
    names = dict.fromkeys(one.name for one in known if metric in (None, one.metric))
    return f"--cases {' '.join(cases)}: found it in no id, expected a part of one, such as {listed(names)}; correct it"
