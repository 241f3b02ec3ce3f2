"""The commands of ``modelgate``, which are those of ``python -m bench``.

modelgate judge CANDIDATE --baseline FILE       one verdict, with a card
modelgate demo                                  a pass and a rejection of what ships
modelgate init DIR                              a first task list and candidate
modelgate bench                                 judge all that ships
modelgate report RUN                            what a run came to; completes the results of one that died
modelgate compare A B                           what changed from one run to others, case by case
modelgate merge RUN RUN --out DIR               join runs, such as shards, into one
modelgate table RUN                             a table of a run for a pull request
modelgate history FILE                          what cases came to over many runs
modelgate submit --out DIR -- ARGUMENTS         a run that is split over the jobs of a cluster
modelgate tasks --out DIR                       write a task set: 604 tasks of five levels, with candidates
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from bench.cli.front import add_front, run_bench
from bench.cli.numbers import number, path
from bench.cli.output import read_or_not
from bench.cli.refusing import refuse
from bench.cli.stored import add_commands, run_command
from bench.cli.submit import add_submit
from bench.cli.tasks import DEFAULT_ZOO, MODELS, tasks
from bench.core.files import describe_error

_TASKS = """
Write a task set: an annotation list (anno.json) with 41 tasks of level L1, 116 of L2, 261 of L3, 93 of L4 and 93 of L5,
and a generation list (gen.json) with a reference candidate for each. wrong.json has a candidate with a known fault for
each, and anno_wrong.json the reasons for which they must be rejected. The pipeline files that the lists name lie in
pipelines/targets, baselines, candidates and wrong. Put your own candidates in the place of gen.json.
"""
_EXAMPLES = """
examples:
  python -m bench tasks --out tasks                       all models of the paper
  python -m bench tasks --models sd15 sdxl --out tasks    the tasks of two of them, with the same ids
  python -m bench tasks --models zoo --out tasks          604 tasks for the small models that ship, on a CPU
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0, or 4 for what cannot be used."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["bench"]:  # all that follows is pytest's
        return run_bench(words[1:])
    # argparse finds no positional arguments behind options
    takes_more = words[:1] in (["judge"], ["submit"])
    place = words.index("--") if takes_more and "--" in words else len(words)
    as_json = words[:1] == ["judge"] and "--json" in words[:place]
    with read_or_not() as output:
        code = _run(words[:place], words[place + 1 :], as_json=as_json)
    if output is not None and output.trouble is not None:
        return refuse(f"stdout: {describe_error(output.trouble)}; what was to be printed is lost")
    return code


def _run(words: Sequence[str], more: list[str], *, as_json: bool) -> int:
    try:
        given = make_parser().parse_args(words)
    except SystemExit:  # --help
        return 0
    except _Unusable as problem:
        return refuse(str(problem), as_json=as_json)
    given.more = more
    return run_command(given)


class _Unusable(Exception):
    """A command line that cannot be read; the message is argparse's, below the usage."""


class _Parser(argparse.ArgumentParser):
    """Raises what argparse would print and end the process with, so that a program is told in its own form."""

    def error(self, message: str) -> NoReturn:
        raise _Unusable(f"{self.format_usage()}{self.prog}: error: {message}")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(prog="modelgate", description="Decides whether a faster model is good enough.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_front(commands)
    reporting = commands.add_parser(
        "report", help="show what a run came to, and complete the results of one that died"
    )
    reporting.add_argument(
        "run", type=path, metavar="RUN", help="directory of the run, or its evaluation_results.json"
    )
    reporting.add_argument("--no-html", action="store_true", help="do not draw report.html again")
    reporting.set_defaults(do=_report)
    add_commands(commands)
    add_submit(commands)
    _add_tasks(
        commands.add_parser(
            "tasks", help="write a task set: 604 tasks of five levels, with candidates",
            description=_TASKS, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )  # fmt: skip
    return parser


def _add_tasks(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(do=_tasks)
    parser.add_argument(
        "--out", type=path, required=True, metavar="DIR",
        help="where to write: a new or empty folder, or one with a task set, which is replaced",
    )  # fmt: skip
    parser.add_argument(
        "--models", nargs="+", default=[], metavar="NAME",
        help=f"of which models: {', '.join(MODELS)} (default: all but the zoo's)",
    )  # fmt: skip
    parser.add_argument(
        "--seed",
        type=_seed,
        default=0,
        metavar="N",
        help="draws the tasks from all that are possible (default 0)",
    )
    parser.add_argument(
        "--latency-factor", type=_factor, default=1.0, metavar="F",
        help="multiplies every limit of latency; those of the paper's models are for one data-centre GPU (default 1)",
    )  # fmt: skip
    parser.add_argument(
        "--zoo", type=path, default=DEFAULT_ZOO, metavar="DIR",
        help=f"folder of the models that ship, for --models zoo (default {DEFAULT_ZOO})",
    )  # fmt: skip


def _seed(text: str) -> int:
    return int(
        number(text, lambda value: 0 <= value < 2**53 and value == int(value), "a whole number from 0")
    )


def _factor(text: str) -> float:
    return number(text, lambda value: 0.01 <= value <= 100, "a number from 0.01 to 100")


def _report(given: argparse.Namespace) -> int:
    from bench.cli.report import report  # noqa: PLC0415  only this command needs all kinds

    return report(given.run, with_page=not given.no_html)


def _tasks(given: argparse.Namespace) -> int:
    return tasks(given.models, given.out, zoo=given.zoo, seed=given.seed, latency_factor=given.latency_factor)
