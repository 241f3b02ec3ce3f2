"""A plugin of pytest that writes down what a command would run, for `modelgate submit`: ``-p bench.cluster.collecting``."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.cluster.submission import SELECTION_FILE, Selected, SelectedTests
from bench.core.errors import UsageProblem
from bench.kinds import KINDS
from bench.run.collected import relative_costs
from bench.run.options import RunOptions, read_options, resolve_seed
from bench.run.process import case_of, places_of

# What each job would do for its part alone, though it is about the whole run.
_OF_THE_WHOLE = {
    "compare_to": "`modelgate compare` compares the run that the jobs are joined to",
    "fail_on": "`modelgate compare --fail-on regression` says it of the run that the jobs are joined to",
    "history": "`modelgate history FILE --add DIR/run` adds the run that the jobs are joined to",
    "only_cases": "submit chooses the cases of each job itself; choose with -k, -m or node ids",
}


@pytest.hookimpl(wrapper=True)  # before xdist puts a number in the place of a word
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """Refuse what would mean something else on another machine, or in each of several jobs."""
    workers = getattr(config.option, "numprocesses", None)
    if workers in ("auto", "logical"):
        raise pytest.UsageError(
            f"-n {workers}: found a number of workers that each machine decides for itself, expected one that is the same "
            "in all jobs, since large datasets are split by it; give -n N"
        )
    for name, why in {
        "usepdb": "a job has no terminal",
        "benchmark_json": "each job would write the same file",
        "work_dir": "the runs of the jobs lie in the folder of --out",
    }.items():
        if getattr(config.option, name, None):
            raise pytest.UsageError(f"{_flag(name)}: {why}; leave it out")
    return (yield)


@pytest.hookimpl(trylast=True)  # when the suite has checked its options
def pytest_collection_finish(session: pytest.Session) -> None:
    """Write what was selected."""
    config = session.config
    if not config.pluginmanager.has_plugin("bench.plugin"):
        raise pytest.UsageError(
            "found a project in which the suite is off, expected cases of modelgate; set `modelgate = true` in its ini "
            "file, or give --modelgate"
        )
    try:
        options = read_options(config, RunOptions)
        for name, instead in _OF_THE_WHOLE.items():
            if getattr(options, name):
                raise UsageProblem(
                    f"{_flag(name)}: a job has a part of the run alone; leave it out: {instead}"
                )
        if options.reuse is not None:
            _check_reuse(config.invocation_params.dir / options.reuse)
        selection = _selection(session, options)
    except UsageProblem as problem:
        raise pytest.UsageError(str(problem)) from problem
    Path(os.environ[SELECTION_FILE]).write_bytes(msgspec.json.encode(selection))


def _selection(session: pytest.Session, options: RunOptions) -> SelectedTests:
    cases = {item.nodeid: case for item in session.items if (case := case_of(item)) is not None}
    costs, places = relative_costs(cases), places_of(session.config)
    items = []
    for item in session.items:
        case = cases.get(item.nodeid)
        if case is None:
            items.append(Selected(item.nodeid))
            continue
        items.append(
            Selected(
                nodeid=item.nodeid,
                cost=costs[item.nodeid],
                names=[f"{case.kind}:{name}" for name in (case.id, *case.together)],
                shares=f"{case.kind}:{case.shares}" if case.shares else None,
                blank=places.tidy(case.blank().to_json()),
            )
        )
    draws = any(KINDS[kind].draws_inputs for kind in {case.kind for case in cases.values()})
    has_seed = options.seed is not None or draws
    xml: Any = getattr(session.config.option, "xmlpath", None)
    return SelectedTests(
        items=items,
        seed=resolve_seed(options.seed).drawn if has_seed else None,
        junit=str(session.config.invocation_params.dir / os.path.expanduser(os.path.expandvars(xml)))
        if xml
        else None,
    )


def _check_reuse(directory: Path) -> None:
    """Refuse an earlier run that a job would not find."""
    if not any((directory / part).exists() for part in ("predictions", "records.jsonl")):
        raise UsageProblem(
            f"--reuse {directory.name}: found no directory of a run at {directory}, expected one, since each job has a work "
            "directory of its own; give the path of the run"
        )


def _flag(name: str) -> str:
    return {"usepdb": "--pdb"}.get(name, f"--{name.replace('_', '-')}")
