"""What follows when the results of a run are complete: its page, a comparison with an earlier run, the history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.core.errors import UsageProblem
from bench.core.files import describe_error
from bench.core.kind import Kind
from bench.core.options import Setting
from bench.core.runs import LATEST, find_run
from bench.report.results import ResultsFile
from bench.report.runs import RESULTS, load_run

REGRESSION = "regression"


@dataclass(frozen=True)
class Afterwards:
    """What a run is asked for at its end.

    Attributes:
        with_page: whether ``report.html`` is written.
        compare_to: directory or results of an earlier run; None for none.
        fails_on_regression: whether a regression against it fails the run.
        history: SQLite file that collects runs; None for none.
    """

    with_page: bool = True
    compare_to: Path | None = None
    fails_on_regression: bool = False
    history: Path | None = None


@dataclass
class Followed:
    """What came of it: lines to show, problems that fail the run, and whether the comparison fails it."""

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    has_regressed: bool = False


def check_afterwards(
    with_page: bool, compare_to: str | None, fail_on: tuple[str, ...], history: Path | None,
    setting: Setting, kinds: Mapping[str, Kind],
) -> Afterwards:  # fmt: skip
    """Return what a run is asked for at its end, before anything runs.

    Raises:
        UsageProblem: an earlier run that cannot be read, a file that is no history, --fail-on without a comparison.
    """
    if fail_on and compare_to is None:
        raise UsageProblem(
            f"--fail-on {fail_on[0]}: found no --compare-to, expected the run that this one is compared with; name it"
        )
    earlier = None
    if compare_to is not None:
        earlier = _earlier(compare_to, setting)
        load_run(earlier, kinds)
    if history is not None:
        _check_history(history)
    return Afterwards(with_page, earlier, REGRESSION in fail_on, history)


def _earlier(name: str, setting: Setting) -> Path:
    """Return where an earlier run lies: results alone will do, as an artifact of a CI has them."""
    path = setting.local_path(name)
    if name != LATEST and (path.is_file() or (path / RESULTS).is_file()):
        return path
    return find_run(name, "--compare-to", setting)


def _check_history(path: Path) -> None:
    from bench.report.history import History  # noqa: PLC0415  most runs have none

    if not path.parent.is_dir():
        raise UsageProblem(f"--history {path}: found no folder {path.parent}, expected one; make it")
    with History(path):
        pass


def follow_up(results: ResultsFile, kinds: Mapping[str, Kind], asked: Afterwards) -> Followed:
    """Do what a run is asked for at its end; what fails is said and keeps nothing else from being done."""
    found = Followed()
    directory = results.path.parent

    def page() -> None:
        from bench.report.html.page import write_page  # noqa: PLC0415  a run without one need not load it

        found.lines.append(f"page: {write_page(results, kinds)}")

    def comparison() -> None:
        from bench.report.compare import compare_runs  # noqa: PLC0415
        from bench.report.compare_text import html, lines, markdown  # noqa: PLC0415

        assert asked.compare_to is not None
        made = compare_runs(load_run(asked.compare_to, kinds), [load_run(directory, kinds)], kinds)
        (directory / "comparison.md").write_text(markdown(made), encoding="utf-8")
        if asked.with_page:
            (directory / "comparison.html").write_text(html(made), encoding="utf-8")
        found.lines += lines(made)
        if asked.fails_on_regression and made.regressions:
            found.has_regressed = True
            names = ", ".join(case.key[1] for case in made.regressions[:3])
            more = len(made.regressions) - 3
            found.problems.append(
                f"--fail-on regression: {len(made.regressions)} of {len(made.cases)} cases got worse: {names}"
                + (f" and {more} more" if more > 0 else "")
            )

    def history() -> None:
        from bench.report.history import History  # noqa: PLC0415

        assert asked.history is not None
        with History(asked.history) as collected:
            collected.add(load_run(directory, kinds), kinds)
        found.lines.append(f"history: {asked.history}")

    if asked.with_page:
        attempt(found.problems, "the page could not be made", page)
    if asked.compare_to is not None:
        attempt(found.problems, "the comparison could not be made", comparison)
    if asked.history is not None:
        attempt(found.problems, "the history could not be made", history)
    return found


def attempt(problems: list[str], failure: str, do: Callable[..., object], *arguments: Any) -> None:
    """Do one of the things that follow a run; what goes wrong is said and ends nothing else.

    Args:
        problems: get a sentence where it fails.
        failure: what that says, such as ``the page could not be made``.
        do: is called with the arguments.
    """
    try:
        do(*arguments)
    except UsageProblem as problem:
        problems.append(f"{failure} ({problem}); the results themselves are complete")
    except Exception as error:  # a kind's own code, or a disk that is full
        said = describe_error(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        problems.append(f"{failure} ({said}); the results themselves are complete")
