"""pytest's hooks. Each delegates: to the plan of this process, to the run, to what a report shows.

Hooks are specified at https://docs.pytest.org/en/stable/reference/reference.html#hooks.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from bench.core.case import Case
from bench.core.errors import UsageProblem
from bench.core.kind import Finish, Kind, Section
from bench.core.options import Setting
from bench.core.record import Json, Record
from bench.core.requirement import parse_requirement
from bench.kinds import KINDS
from bench.report import benchmark_bridge, terminal
from bench.report.markdown import write_step_summary
from bench.report.tables import finished_kinds, sections
from bench.run.options import (
    OF_THE_RUN,
    RunOptions,
    add_options,
    given_flags,
    read_options,
    resolve_seed,
    worker_count,
)
from bench.run.outcome import attach_record, crash_record, status_words
from bench.run.plan import Plan
from bench.run.run import Collected, Run, RunSettings
from bench.run.user_code import import_user_code
from bench.run.view import RunView

RUN = pytest.StashKey[Run]()
VIEW = pytest.StashKey[RunView]()
OPTIONS = pytest.StashKey[RunOptions]()
PLAN = pytest.StashKey[Plan]()
RECORD = pytest.StashKey[Record]()
SECTIONS = pytest.StashKey[list[Section]]()
HINTS = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's options."""
    add_options(parser, KINDS.values())


def pytest_configure(config: pytest.Config) -> None:
    """Read the options, import users' code, and in a worker take over the view of the run."""
    config.addinivalue_line("markers", "control: a candidate that must be rejected")
    for kind in KINDS.values():
        for marker, meaning in kind.marker_help.items():
            config.addinivalue_line("markers", f"{marker}: {meaning}")
    workerinput = getattr(config, "workerinput", None)
    if workerinput is not None and "modelgate" in workerinput:
        config.stash[VIEW] = RunView.from_workerinput(workerinput["modelgate"])
    try:
        options = config.stash[OPTIONS] = read_options(config, RunOptions)
        resolve_seed(options.seed)  # a seed that is none ends the run here, and not when it begins
        config.stash[PLAN] = _plan(config, options)
        import_user_code(
            _user_dirs(config)[1], [kind.adopt for kind in KINDS.values() if kind.adopt is not None]
        )
    except UsageProblem as problem:
        raise pytest.UsageError(str(problem)) from problem


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin the run, in the one process that owns it."""
    config = session.config
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    options, plan = config.stash[OPTIONS], config.stash[PLAN]
    settings = RunSettings(
        work_dir=options.work_dir,
        root=config.rootpath,
        command=shlex.join([os.path.basename(sys.argv[0]), *config.invocation_params.args]),
        seed=resolve_seed(options.seed),
        workers=worker_count(config),
        resource_count=_resource_count(options),
        user_dirs=_user_dirs(config)[1],
        pass_env=options.pass_env,
        wait=not options.no_wait,
    )
    try:
        run = config.stash[RUN] = Run(
            settings, KINDS, lambda: _configs(options, plan), lambda line: terminal.show_line(config, line)
        )
    except UsageProblem as problem:
        raise pytest.UsageError(str(problem)) from problem
    config.stash[VIEW] = run.view
    config.pluginmanager.register(Collector(config, run), "modelgate-collector")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the run to a worker of xdist."""
    node.workerinput["modelgate"] = node.config.stash[VIEW].to_workerinput()
    node.workerinput["modelgate_arguments"] = list(node.config.invocation_params.args)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest cases first, so that no worker is left alone with one at the end, model by model."""
    # What pytest makes of an empty list of cases: a skipped test that stands for nothing.
    items[:] = [item for item in items if not item.name.endswith("[NOTSET]")]

    def place(item: pytest.Item) -> tuple[float, float]:
        case = case_of(item)
        return (float("inf"), 0.0) if case is None else (case.group, -case.cost)

    items.sort(key=place)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse what was asked of nothing; leave the blank record of each case where the run finds it."""
    config = session.config
    plan, view = config.stash[PLAN], config.stash.get(VIEW, None)
    cases = {item.nodeid: case for item in session.items if (case := case_of(item)) is not None}
    try:
        plan.check(list(cases.values()))
    except UsageProblem as problem:
        if not hasattr(config, "workerinput"):
            raise pytest.UsageError(str(problem)) from problem
        session.items.clear()
        Collected({}, [], str(problem)).write(config.stash[VIEW].scratch)
        return
    hints = plan.hints()
    if view is not None and (cases or hints):
        blanks = {nodeid: case.blank().to_json() for nodeid, case in cases.items()}
        Collected(blanks, hints).write(view.scratch)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    """End the run where a worker found that no case can run."""
    problem = node.config.stash[RUN].collected().problem
    if problem is not None:
        raise pytest.UsageError(problem)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let each report of a case carry its record."""
    report = yield
    case = case_of(item)
    if case is not None:
        skip_inconclusive = item.config.stash[OPTIONS].inconclusive == "skip"
        record = item.stash.get(RECORD, None)
        attach_record(item, call, report, case, KINDS[case.kind], record, skip_inconclusive)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: Any, config: pytest.Config) -> Any:
    """Show what was measured next to the outcome under ``-v``."""
    return status_words(report)


class Collector:
    """Takes records from reports, in the process that owns the run."""

    def __init__(self, config: pytest.Config, run: Run) -> None:
        self._config, self._run = config, run

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the record of a finished case, or of one whose worker died."""
        record: Json | None = getattr(report, "modelgate_record", None)
        if record is None and report.when not in ("setup", "call", "teardown"):
            blank = self._run.collected().blanks.get(report.nodeid)
            record = None if blank is None else crash_record(KINDS[blank["kind"]].decode(blank), report)
        if record is not None:
            self._run.add_record(report.nodeid, record)
            benchmark_bridge.add(self._config, report.nodeid, record)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Complete the records, let each kind write its files, and end everything that the run started."""
    config = session.config
    run = config.stash.get(RUN, None)
    if run is None:
        return
    try:
        run.finish()
        if run.results is not None:
            plan, directory = config.stash[PLAN], run.results.path.parent

            def finish(kind: Kind, records: Sequence[Record]) -> Finish:
                return Finish(directory, records, plan.options(kind), plan.setting(kind))

            finished = finished_kinds(run.results.ordered(), KINDS, finish)
            config.stash[SECTIONS] = sections(finished)
            for kind, told in finished:
                kind.finish(told)
    finally:
        config.stash[HINTS] = run.collected().hints
        run.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the tables and say where the results are."""
    run = config.stash.get(RUN, None)
    if run is None:
        return
    if run.results is not None:
        found = config.stash.get(SECTIONS, [])
        terminal.write_summary(terminalreporter, run.results, found)
        write_step_summary(run.results, found)
    for hint in config.stash.get(HINTS, []):
        terminalreporter.write_line(hint)


def case_of(item: pytest.Item) -> Case | None:
    """Return the case that an item evaluates, or None for any other test."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return next((value for value in parameters.values() if isinstance(value, Case)), None)


def _plan(config: pytest.Config, options: RunOptions) -> Plan:
    """Return the plan of this process; what the command line gives of any kind is parsed already."""
    workerinput = getattr(config, "workerinput", {})
    arguments = workerinput.get("modelgate_arguments", config.invocation_params.args)
    flags = {name: given_flags(arguments, kind.options) for name, kind in KINDS.items()}
    shared = given_flags(arguments, RunOptions)
    for name, given in flags.items():
        if given:
            read_options(config, KINDS[name].options)
    requirements = tuple(parse_requirement(text, KINDS) for text in options.require)
    own_dirs, user_dirs = _user_dirs(config)

    def read(kind: Kind) -> tuple[Any, Setting]:
        view = config.stash.get(VIEW, None)
        setting = Setting(
            run=options,
            given=frozenset(flags[kind.name]) | frozenset(shared),
            directory=config.invocation_params.dir,
            workers=worker_count(config),
            user_dirs=user_dirs,
            own_dirs=own_dirs,
            requirements=requirements,
            latest=None if view is None else view.latest,
        )
        return read_options(config, kind.options), setting

    of_some = {field: flag for field, flag in shared.items() if field not in OF_THE_RUN}
    return Plan(KINDS, read, flags, of_some, requirements)


def _user_dirs(config: pytest.Config) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the folders with users' code of the command line, and those of command line and ini file together."""
    named = config.stash[OPTIONS].user_dir
    of_ini = tuple(config.getini("modelgate_user_dir") or ())
    own = () if config.option.user_dir is None else named
    return own, tuple(dict.fromkeys((*own, *of_ini)))


def _configs(options: RunOptions, plan: Plan) -> Json:
    """Return the options of the run and of its kinds, for ``configs/options.json``."""
    return {"run": vars(options), **{kind.name: vars(plan.given(kind)) for kind in KINDS.values()}}


def _resource_count(options: RunOptions) -> int | None:
    """Return how many GPUs there are to lease, or None when cores are leased.

    Raises:
        pytest.UsageError: when a GPU is asked for and there is none.
    """
    if options.device == "cpu":
        return None
    from bench.machine.environment import gpu_count  # noqa: PLC0415

    count = gpu_count()
    if not count:
        raise pytest.UsageError("--device cuda: no GPU is visible; check nvidia-smi and CUDA_VISIBLE_DEVICES")
    return count
