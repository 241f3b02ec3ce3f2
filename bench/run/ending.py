"""The end of a run: records completed, each kind's files written, everything ended, whatever fails on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from bench.core.kind import Finish, Kind, Section
from bench.core.record import Record
from bench.core.runs import name_results
from bench.report.markdown import write_step_summary
from bench.report.tables import finished_kinds
from bench.run.afterwards import Afterwards, attempt, follow_up
from bench.run.run import Run

MakeFinish = Callable[[Kind, Sequence[Record], Path], Finish]


@dataclass
class Ended:
    """What the end of a run came to.

    Attributes:
        sections: tables of the summary.
        hints: what to tell the user.
        problems: what could not be written, and why no further case was run.
    """

    sections: list[Section] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def tabulate(self, kind: Kind, what: Finish) -> None:
        """Add the table of a kind."""
        self.sections.append(kind.table(what))


def finish_run(
    run: Run, kinds: Mapping[str, Kind], finish: MakeFinish, exit_status: int, asked: Afterwards | None = None
) -> Ended:
    """End a run. What fails is said and keeps nothing else from being done.

    Args:
        run: in the process that owns it.
        kinds: by name.
        finish: makes what a kind is told.
        exit_status: of pytest.
        asked: what follows when the results are complete.
    """
    ended = Ended(hints=run.collected().hints)
    is_complete = True
    try:
        try:
            run.finish(exit_status)
        except OSError:  # said below, as the run's trouble
            is_complete = False
            folder = run.results.path.parent if run.results is not None else run.settings.work_dir
            ended.problems.append(
                f"the results are not complete: when there is room, complete them by `python -m bench report {folder}`"
            )
        if run.results is not None:
            directory = run.results.path.parent
            told = finished_kinds(
                run.results.ordered(), kinds, lambda kind, found: finish(kind, found, directory)
            )
            for kind, what in told:
                attempt(
                    ended.problems, f"the {kind.name} table could not be written", ended.tabulate, kind, what
                )
                if is_complete:
                    attempt(ended.problems, f"the {kind.name} files could not be written", kind.finish, what)
            results = run.results
            if is_complete:  # the last room is for what other plugins write
                attempt(
                    ended.problems, "the summary could not be written", write_step_summary, results, ended.sections
                )  # fmt: skip
                followed = follow_up(results, kinds, asked or Afterwards())
                ended.hints += followed.lines
                ended.problems += followed.problems
    finally:
        run.close()
    if run.results is not None:  # when no candidate computes any more
        attempt(ended.problems, "the results could not be named", name_results, run.results.path)
    if run.trouble is not None:
        ended.problems.append(f"stopped early: {run.trouble}")
    return ended


def discard_cut_report(path: Path | None, error: OSError) -> list[str]:
    """Remove JUnit's file where it was cut short; return what to tell the user of a report that was not written."""
    said = [
        f"another plugin's report could not be written ({error}); make room there, and run again with --reuse latest"
    ]
    if path is not None and path.is_file():
        try:
            ElementTree.parse(path)
        except (ElementTree.ParseError, OSError):
            path.unlink(missing_ok=True)
            said.append(f"{path} was cut short and is removed")
    return said
