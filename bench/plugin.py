"""pytest's hooks. Each delegates: to the plan of this process, to the run, to what a report shows.

Hooks are specified at https://docs.pytest.org/en/stable/reference/reference.html#hooks.
"""

from __future__ import annotations

import gc
import os
import shlex
import sys
from collections.abc import Generator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from bench.core.doing import all_doing
from bench.core.errors import UsageProblem
from bench.core.fingerprint import Fingerprint
from bench.core.kind import Finish, Kind
from bench.core.record import Json, Record
from bench.kinds import KINDS
from bench.machine.environment import host_and_user
from bench.machine.threads import BRIEF_SPIN
from bench.report import benchmark_bridge, terminal
from bench.report.board import Board
from bench.report.junit import JUnit, junit_path
from bench.run import preflight
from bench.run.attempts import FINAL_OUTCOMES, TRIAL, EarlierAttempts, unfinished
from bench.run.collected import Collected, relative_costs
from bench.run.distribution import check_distribution, set_distribution_defaults
from bench.run.ending import discard_cut_report, finish_run
from bench.run.foreign import ForeignFiles
from bench.run.only import keep_only
from bench.run.options import (
    RunOptions,
    add_options,
    read_options,
    resolve_seed,
    worker_count,
)
from bench.run.outcome import crash_record, status_words
from bench.run.process import (
    AFTERWARDS,
    BOARD,
    ENDED,
    ENDINGS,
    OPTIONS,
    PLAN,
    RESUMING,
    RUN,
    SUMMARY_BEGAN,
    VIEW,
    afterwards_of,
    case_of,
    configs_of,
    earlier_run,
    gpus_to_lease,
    make_plan,
    places_of,
    shared_parts,
    tell_apart,
    user_dirs_of,
    worker_hints,
)
from bench.run.resume import case_fingerprint
from bench.run.retries import Retries, note_retries, status_of_retry
from bench.run.run import Run, RunSettings
from bench.run.signals import Endings
from bench.run.trials import follow_trials
from bench.run.user_code import import_user_code
from bench.run.view import RunView
from bench.run.workers import PackedReports, end_workers, note_worker, take_pending_reports


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's options."""
    add_options(parser, KINDS.values())


@pytest.hookimpl(tryfirst=True)  # before xdist reads how to distribute
def pytest_configure(config: pytest.Config) -> None:
    """Read the options, import users' code, and in a worker take over the view of the run."""
    for name, value in BRIEF_SPIN.items():  # before torch is imported, and for the workers, who inherit it
        os.environ.setdefault(name, value)
    config.addinivalue_line("markers", "control: a candidate that must be rejected")
    for kind in KINDS.values():
        for marker, meaning in kind.marker_help.items():
            config.addinivalue_line("markers", f"{marker}: {meaning}")
    workerinput = getattr(config, "workerinput", None)
    if workerinput is not None and "modelgate" in workerinput:
        view = config.stash[VIEW] = RunView.from_workerinput(workerinput["modelgate"])
        note_worker(view.scratch)
    config.pluginmanager.register(PackedReports(), "modelgate-packed-reports")
    set_distribution_defaults(config)
    try:
        check_distribution(config)
        options = config.stash[OPTIONS] = read_options(config, RunOptions)
        resolve_seed(options.seed)  # a seed that is none ends the run here, and not when it begins
        follow_trials(config, KINDS, Retries(options.retries))
        config.stash[PLAN] = make_plan(config, options, KINDS)
        import_user_code(
            user_dirs_of(config)[1], [kind.adopt for kind in KINDS.values() if kind.adopt is not None]
        )
    except UsageProblem as problem:
        raise pytest.UsageError(str(problem)) from problem
    gc.freeze()  # what has been imported stays; each look for garbage in it would cost as much as some imports


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin the run, in the one process that owns it."""
    config = session.config
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    options, plan = config.stash[OPTIONS], config.stash[PLAN]
    try:
        preflight.check_names((config.rootpath, options.work_dir))
        preflight.check_scratch()
        preflight.check_work_dir(options.work_dir)
        config.stash[AFTERWARDS] = afterwards_of(config, options, KINDS)
        preflight.check_outputs(preflight.outputs_of(config.option, os.environ, config.invocation_params.dir))
    except UsageProblem as problem:
        raise pytest.UsageError(str(problem)) from problem
    settings = RunSettings(
        work_dir=options.work_dir,
        root=config.rootpath,
        command=places_of(config).tidy(
            shlex.join([os.path.basename(sys.argv[0]), *config.invocation_params.args])
        ),
        seeds=resolve_seed(options.seed),
        workers=worker_count(config),
        resource_count=gpus_to_lease(options),
        user_dirs=user_dirs_of(config)[1],
        pass_env=options.pass_env,
        names=host_and_user() if options.record_host else {},
        wait=not options.no_wait,
    )
    try:
        run = config.stash[RUN] = Run(
            settings, KINDS, lambda: places_of(config).tidy(configs_of(options, plan)),
            lambda line: terminal.show_line(config, line),
        )  # fmt: skip
    except UsageProblem as problem:
        raise pytest.UsageError(str(problem)) from problem
    except OSError as error:
        raise pytest.UsageError(
            f"no temporary folder can be made ({error}); expected a TMPDIR with room; make room there or choose another"
        ) from error
    config.stash[VIEW] = run.view
    endings = config.stash[ENDINGS] = Endings()
    endings.install()
    config.add_cleanup(endings.remove)
    config.pluginmanager.register(Collector(session, run), "modelgate-collector")
    foreign = ForeignFiles(lambda: places_of(config), options.record_host, options.junit_schema)
    config.pluginmanager.register(foreign, "modelgate-foreign-files")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the run to a worker of xdist."""
    node.workerinput["modelgate"] = node.config.stash[VIEW].to_workerinput()
    node.workerinput["modelgate_arguments"] = list(node.config.invocation_params.args)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest cases first, so that no worker is left alone with one at the end, model by model."""
    tell_apart(items)

    def place(item: pytest.Item) -> tuple[float, float]:
        case = case_of(item)
        return (float("inf"), 0.0) if case is None else (case.group, -case.cost)

    items.sort(key=place)


@pytest.hookimpl(tryfirst=True)  # before a worker tells what it has collected
def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse what was asked of nothing; leave the blank record of each case where the run finds it."""
    config = session.config
    plan, view = config.stash[PLAN], config.stash.get(VIEW, None)
    cases = {item.nodeid: case for item in session.items if (case := case_of(item)) is not None}
    shared: dict[str, Fingerprint] = {}
    try:
        plan.check(list(cases.values()))
        keep_only(session, config.stash[OPTIONS].only_cases)
        cases = {item.nodeid: cases[item.nodeid] for item in session.items if item.nodeid in cases}
        if view is not None:
            kinds = sorted({case.kind for case in cases.values()})
            shared = {name: shared_parts(config, KINDS[name]) for name in kinds}
            config.stash[RESUMING] = earlier_run(config, shared)
    except UsageProblem as problem:
        if not hasattr(config, "workerinput"):
            raise pytest.UsageError(str(problem)) from problem
        session.items.clear()
        Collected(problem=str(problem)).write(config.stash[VIEW].scratch)
        return
    if view is None:
        return
    hints = plan.hints()
    if not cases and not hints:
        return
    with Collected.claimed(view.scratch) as is_ours:
        if not is_ours:
            return
        blanks, places = {}, places_of(config)
        for nodeid, case in cases.items():
            record = case.blank()
            record.depends_on = case_fingerprint(KINDS[case.kind], case)
            blanks[nodeid] = places.tidy(record.to_json())
        costs = relative_costs(cases)
        Collected(blanks, hints, fingerprints=shared, costs=costs).write(view.scratch)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    """End the run where a worker found that no case can run."""
    problem = node.config.stash[RUN].collected().problem
    if problem is not None:
        raise pytest.UsageError(problem)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Take over the result of an earlier run where it fits; then nothing of the case is built."""
    case, resuming = case_of(item), item.config.stash.get(RESUMING, None)
    if case is None or resuming is None:
        return
    trial = item.stash[TRIAL]
    taken, trial.not_reused = resuming.take(KINDS[case.kind], case, item.config.stash[VIEW])
    if taken is not None:
        trial.evaluated = KINDS[case.kind].decode(taken)
        item.fixturenames = []  # type: ignore[attr-defined]  # those of this item alone


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """End as the earlier run ended, where its result is taken over."""
    trial = pyfuncitem.stash.get(TRIAL, None)
    record = None if trial is None else trial.evaluated
    if record is None or record.reused is None:
        return None
    if record.verdict != "pass":
        raise AssertionError(record.reason)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: Any, config: pytest.Config) -> Any:
    """Show what was measured next to the outcome under ``-v``."""
    if SUMMARY_BEGAN in config.stash:
        return None
    status = status_of_retry(report) or status_words(report)
    if status is None or status[0] not in FINAL_OUTCOMES or BOARD not in config.stash:
        return status
    return status if not config.stash[BOARD].is_on else (status[0], "", "")  # the board has a line for it


class Collector:
    """Takes records from reports, in the process that owns the run."""

    def __init__(self, session: pytest.Session, run: Run) -> None:
        self._session, self._config, self._run = session, session.config, run
        self._attempts = EarlierAttempts()
        self._junit = JUnit(self._config, self._config.stash[OPTIONS].junit_schema)
        self._board: Board | None = None
        self._reporter = reporter = self._config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None:  # else -p no:terminal
            self._board = Board(reporter, run.costs, lambda: all_doing(run.scratch))
            self._config.stash[BOARD] = self._board

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Show how far the run is while it goes on."""
        with nullcontext() if self._board is None else self._board.shown():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # before the report is shown and written
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, object, object]:
        """Write the record of a finished case, or of one whose worker died.

        A signal waits until other plugins have taken the report too: the record is in JUnit's file, or in no file at all.
        """
        with self._config.stash[ENDINGS].held():
            self._take(report)
            told = yield
        if self._run.trouble is not None:
            self._stop(self._run.trouble)
        return told

    def _take(self, report: pytest.TestReport) -> None:
        record: Json | None = getattr(report, "modelgate_record", None)
        died = record is None and report.when not in ("setup", "call", "teardown")
        ends = report.outcome in FINAL_OUTCOMES
        blank = None if ends and not died else self._run.blank(report.nodeid)
        if died and blank is not None:
            record = places_of(self._config).tidy(crash_record(KINDS[blank["kind"]].decode(blank), report))
        self._junit.take(report, ends=ends)
        if record is None:
            return
        if self._reporter is not None:
            terminal.keep_to_width(self._reporter, report, record["reason"])
        attempts = self._attempts.add(report, record)
        if ends:
            record = {**record, "attempts": attempts}
            note_retries(record, attempts)
            benchmark_bridge.add(self._config, report.nodeid, record)
            if self._board is not None:
                self._board.add(report.nodeid, record)
        elif blank is not None:
            record = unfinished(KINDS[blank["kind"]].decode(blank), attempts)
        self._run.add_record(report.nodeid, record)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Shape the JUnit file before it is written."""
        self._junit.finish()

    def _stop(self, why: str) -> None:
        for loop in (self._session, self._config.pluginmanager.getplugin("dsession")):
            if loop is not None and not loop.shouldstop:
                loop.shouldstop = why


# Within the terminal's wrapper, which prints a summary when this one has ended.
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None, object, object]:
    """Complete the records, let each kind write its files, and end everything that the run started.

    What other plugins cannot write afterwards, such as JUnit's file on a full disk, is said and ends nothing else.
    """
    run = session.config.stash.get(RUN, None)
    if run is None:
        return (yield)
    problems = _end_run(session, run, exitstatus)
    try:
        return (yield)
    except OSError as error:
        problems += discard_cut_report(junit_path(session.config), error)
        return None
    finally:
        if problems and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _end_run(session: pytest.Session, run: Run, exitstatus: int) -> list[str]:
    """End the run; return what went wrong, to which more can be added until the summary is printed."""
    config = session.config
    if exitstatus in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR):
        end_workers(run.scratch)
        take_pending_reports(config)
    plan = config.stash[PLAN]

    def finish(kind: Kind, records: Sequence[Record], directory: Path) -> Finish:
        return Finish(directory, records, plan.options(kind), plan.setting(kind), places_of(config))

    if (
        exitstatus == pytest.ExitCode.OK
        and run.results is not None
        and terminal.all_skipped(run.results.ordered())
    ):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
    ended = finish_run(run, KINDS, finish, int(session.exitstatus), config.stash[AFTERWARDS])
    config.stash[ENDED] = ended
    config.stash[ENDINGS].is_over = True
    return ended.problems


@pytest.hookimpl(trylast=True)  # when pytest has looked for what could not be ended
def pytest_unconfigure() -> None:
    """Spare the looks for garbage that pytest and the interpreter take as they end: with torch each takes half a second."""
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the tables and say where the results are."""
    config.stash[SUMMARY_BEGAN] = True  # its lines begin with a plain word and the node id, for parsers
    run, ended = config.stash.get(RUN, None), config.stash.get(ENDED, None)
    if run is None or ended is None:
        return
    if run.results is not None:
        terminal.write_summary(terminalreporter, run.results, ended.sections, run.drawn_seed)
    for folder in run.completed:
        terminal.write_prose(terminalreporter, f"completed the results of a run that had died: {folder}")
    for hint in [*ended.hints, *worker_hints(config, run)]:
        terminal.write_prose(terminalreporter, hint)
    for problem in ended.problems:
        terminal.write_prose(terminalreporter, problem, red=True)
