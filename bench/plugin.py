"""pytest's hooks. Each only delegates: to the run, to the options, to what a report shows."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Generator
from typing import Any

import pytest

from bench.core.case import CASE_TYPES, DIFFICULTIES, LEVELS
from bench.core.record import blank_record
from bench.evaluated import evaluation as evaluated
from bench.language import options as language
from bench.regression import options as tuning
from bench.report import benchmark_bridge, terminal
from bench.report.markdown import write_step_summary
from bench.reranking import options as reranking
from bench.run.options import Options, add_options, resolve_options, resolve_seed, worker_count
from bench.run.outcome import attach_record, crash_record, status_words
from bench.run.run import Run, RunView

RUN = pytest.StashKey[Run]()
VIEW = pytest.StashKey[RunView]()
OPTIONS = pytest.StashKey[Options]()
RECORD = pytest.StashKey[dict[str, Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's options."""
    add_options(parser)
    language.add_options(parser)
    tuning.add_options(parser)
    reranking.add_options(parser)
    evaluated.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Resolve the options, and in a worker take over the view of the run."""
    for difficulty in DIFFICULTIES:
        config.addinivalue_line("markers", f"{difficulty}: a case of this difficulty")
    for level in LEVELS:
        config.addinivalue_line("markers", f"{level.lower()}: a case of level {level}")
    config.addinivalue_line("markers", "control: a candidate that must be rejected")
    config.stash[OPTIONS] = resolve_options(config)
    workerinput = getattr(config, "workerinput", None)
    if workerinput is not None and "modelgate" in workerinput:
        config.stash[VIEW] = RunView.from_workerinput(workerinput["modelgate"])


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin the run, in the one process that owns it."""
    config = session.config
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    options = config.stash[OPTIONS]
    run = config.stash[RUN] = Run(
        work_dir=options.work_dir,
        root=config.rootpath,
        command=shlex.join([os.path.basename(sys.argv[0]), *config.invocation_params.args]),
        options=vars(options),
        seed=resolve_seed(options.seed_text),
        workers=worker_count(config),
        resource_count=resource_count(options),
        pass_env=options.pass_env,
    )
    config.stash[VIEW] = run.view
    config.pluginmanager.register(Collector(config, run), "modelgate-collector")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the run to a worker of xdist."""
    node.workerinput["modelgate"] = node.config.stash[VIEW].to_workerinput()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest cases first, so that no worker is left alone with one at the end, model by model."""

    def place(item: pytest.Item) -> tuple[float, float]:
        case = case_of(item)
        return (float("inf"), 0.0) if case is None else (case.group, -case.cost)

    items.sort(key=place)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave the blank record of each collected case where the run finds it, whoever dies later."""
    view = session.config.stash.get(VIEW, None)
    cases = {item.nodeid: case_of(item) for item in session.items}
    blanks = {nodeid: blank_record(case) for nodeid, case in cases.items() if case is not None}
    if view is not None and blanks:
        temporary = view.scratch / f"collected.{os.getpid()}"
        temporary.write_text(json.dumps(blanks))
        temporary.replace(view.scratch / "collected.json")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let each report of a case carry its record."""
    report = yield
    case = case_of(item)
    if case is not None:
        skip_inconclusive = item.config.stash[OPTIONS].inconclusive == "skip"
        attach_record(item, call, report, case, item.stash.get(RECORD, None), skip_inconclusive)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: Any, config: pytest.Config) -> Any:
    """Show the verdict's figures beside the outcome under ``-v``."""
    return status_words(report)


class Collector:
    """Takes records from reports, in the process that owns the run."""

    def __init__(self, config: pytest.Config, run: Run) -> None:
        self._config, self._run = config, run

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the record of a finished case, or of one whose worker died."""
        record = getattr(report, "modelgate_record", None)
        if record is None and report.when not in ("setup", "call", "teardown"):
            blank = self._run.collected().get(report.nodeid)
            record = None if blank is None else crash_record(blank, report)
        if record is not None:
            self._run.add_record(report.nodeid, record)
            benchmark_bridge.add(self._config, report.nodeid, record)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Complete the records and end everything that the run started."""
    run = session.config.stash.get(RUN, None)
    if run is not None:
        run.finish()
        run.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the tables and say where the results are."""
    run = config.stash.get(RUN, None)
    if run is not None and run.results is not None:
        terminal.write_summary(terminalreporter, run.results)
        write_step_summary(run.results)


def case_of(item: pytest.Item) -> Any:
    """Return the case that an item evaluates, or None for any other test."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return next((value for value in parameters.values() if isinstance(value, CASE_TYPES)), None)


def resource_count(options: Options) -> int | None:
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
