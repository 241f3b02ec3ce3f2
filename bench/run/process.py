"""What one process of pytest knows of the run: keys of its stash, and what is made from its options."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.core.case import Case
from bench.core.doing import Teller
from bench.core.evaluation import RunContext
from bench.core.fingerprint import Fingerprint
from bench.core.kind import Kind
from bench.core.options import Setting
from bench.core.places import Places
from bench.core.record import Json
from bench.core.requirement import parse_requirement
from bench.core.runs import LATEST, find_run
from bench.machine.environment import host_and_user
from bench.report.board import Board
from bench.run.afterwards import Afterwards, check_afterwards
from bench.run.collected import Collected
from bench.run.ending import Ended
from bench.run.options import (
    OF_THE_RUN,
    RunOptions,
    given_by_environment,
    given_flags,
    read_options,
    worker_count,
)
from bench.run.plan import Plan
from bench.run.resume import Resuming, shared_fingerprint
from bench.run.run import Run
from bench.run.signals import Endings
from bench.run.view import RunView, idle_workers

RUN = pytest.StashKey[Run]()
VIEW = pytest.StashKey[RunView]()
OPTIONS = pytest.StashKey[RunOptions]()
PLAN = pytest.StashKey[Plan]()
PLACES = pytest.StashKey[Places]()
CONTEXT = pytest.StashKey[RunContext]()
DEPENDENCIES = pytest.StashKey[dict[str, Fingerprint | None]]()
ENDED = pytest.StashKey[Ended]()
ENDINGS = pytest.StashKey[Endings]()
RESUMING = pytest.StashKey[Resuming | None]()
TELLER = pytest.StashKey[Teller]()
BOARD = pytest.StashKey[Board]()
AFTERWARDS = pytest.StashKey[Afterwards]()
SUMMARY_BEGAN = pytest.StashKey[bool]()


def case_of(item: pytest.Item) -> Case | None:
    """Return the case that an item evaluates, or None for any other test."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return next((value for value in parameters.values() if isinstance(value, Case)), None)


def dependencies_of(item: pytest.Item) -> Fingerprint | None:
    """Return what the result of an item's case depends on, as collection found it."""
    stash = item.config.stash
    if DEPENDENCIES not in stash:
        blanks = Collected.read(stash[VIEW].scratch).blanks
        stash[DEPENDENCIES] = {nodeid: blank["depends_on"] for nodeid, blank in blanks.items()}
    return stash[DEPENDENCIES].get(item.nodeid)


def places_of(config: pytest.Config) -> Places:
    """Return what makes paths relative in this process; the run's directory counts as soon as it is known here."""
    found = config.stash.get(PLACES, None)
    if found is not None:
        return found
    view, run = config.stash.get(VIEW, None), config.stash.get(RUN, None)
    names = {} if config.stash[OPTIONS].record_host else host_and_user()
    places = Places(
        config.rootpath, None, Path.home(), None if view is None else view.scratch,
        {f"<{what}>": name for what, name in names.items()},
    )  # fmt: skip
    directory = None if view is None else view.known_directory
    if run is not None and run.results is not None:
        directory = run.results.path.parent
    if directory is None:
        return places
    config.stash[PLACES] = places.of_run(directory)
    return config.stash[PLACES]


def context_of(config: pytest.Config) -> RunContext:
    """Return what all cases of the run share; no fixture, which pytest would resolve again for each case."""
    if CONTEXT not in config.stash:
        view, options = config.stash[VIEW], config.stash[OPTIONS]
        config.stash[CONTEXT] = RunContext(
            directory=view.directory,
            scratch=view.scratch,
            seed=view.seeds.steady,
            device=options.device,
            requirements=config.stash[PLAN].requirements,
            places=places_of(config),
            doing=teller_of(config),
        )
    return config.stash[CONTEXT]


def teller_of(config: pytest.Config) -> Teller:
    """Return what this process tells of its work."""
    if TELLER not in config.stash:
        view = config.stash.get(VIEW, None)
        config.stash[TELLER] = Teller(None if view is None else view.scratch)
    return config.stash[TELLER]


def tell_apart(items: Iterable[pytest.Item]) -> None:
    """Give cases ids of their own: where a test has more parameters than the case, and where several tests take one case.

    The first of several tests, in the order of collection, leaves the id as it is.
    """
    taken: set[tuple[str, str]] = set()
    for item in items:
        if case_of(item) is None:
            continue
        params, ids = item.callspec.params, list(item.callspec._idlist)  # type: ignore[attr-defined]
        for name, value in params.items():
            if isinstance(value, Case):
                place = list(params).index(name)
                others = "-".join(ids[:place] + ids[place + 1 :])
                case = value.varied(others) if others else value
                if (case.kind, case.id) in taken:
                    test = item.nodeid.partition("[")[0]
                    case = value.varied(f"{others}-{test}" if others else test)
                taken.add((case.kind, case.id))
                params[name] = case


def make_plan(config: pytest.Config, options: RunOptions, kinds: Mapping[str, Kind]) -> Plan:
    """Return the plan of this process; what the command line gives of any kind is parsed already."""
    workerinput = getattr(config, "workerinput", {})
    arguments = workerinput.get("modelgate_arguments", config.invocation_params.args)
    flags = {name: given_flags(arguments, kind.options) for name, kind in kinds.items()}
    shared = given_flags(arguments, RunOptions)
    for name, given in flags.items():
        if given:
            read_options(config, kinds[name].options)
    requirements = tuple(parse_requirement(text, kinds) for text in options.require)
    own_dirs, user_dirs = user_dirs_of(config)

    def read(kind: Kind) -> tuple[Any, Setting]:
        view = config.stash.get(VIEW, None)
        setting = Setting(
            run=options,
            given=frozenset(flags[kind.name])
            | frozenset(shared)
            | given_by_environment(kind.options)
            | given_by_environment(RunOptions),
            directory=config.invocation_params.dir,
            workers=worker_count(config),
            user_dirs=user_dirs,
            own_dirs=own_dirs,
            requirements=requirements,
            latest=None if view is None else view.latest,
        )
        return read_options(config, kind.options), setting

    of_some = {field: flag for field, flag in shared.items() if field not in OF_THE_RUN}
    return Plan(kinds, read, flags, of_some, requirements)


def afterwards_of(config: pytest.Config, options: RunOptions, kinds: Mapping[str, Kind]) -> Afterwards:
    """Return what a run is asked for at its end; called before it begins.

    Raises:
        UsageProblem: what cannot be done.
    """
    link = options.work_dir / LATEST
    setting = Setting(
        run=options, given=frozenset(), directory=config.invocation_params.dir, workers=1,
        latest=link.resolve() if link.is_dir() else None,
    )  # fmt: skip
    return check_afterwards(
        not options.no_html, options.compare_to, options.fail_on, options.history, setting, kinds
    )


def user_dirs_of(config: pytest.Config) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the folders with users' code of command line or environment, and those of the ini file with them."""
    named = config.stash[OPTIONS].user_dir
    of_ini = tuple(config.getini("modelgate_user_dir") or ())
    own = (
        () if config.option.user_dir is None and "user_dir" not in given_by_environment(RunOptions) else named
    )
    return own, tuple(dict.fromkeys((*own, *of_ini)))


def configs_of(options: RunOptions, plan: Plan) -> Json:
    """Return the options of the run and of its kinds, for ``configs/options.json``."""
    given = {"run": vars(options), **{kind.name: vars(plan.given(kind)) for kind in plan.kinds.values()}}
    plain: Json = json.loads(json.dumps(given, default=str))
    return plain


def shared_parts(config: pytest.Config, kind: Kind) -> Fingerprint:
    """Return what all results of a kind depend on in this run."""
    plan, options, view = config.stash[PLAN], config.stash[OPTIONS], config.stash[VIEW]
    cores = view.cores_of_a_case(on_gpu=options.device != "cpu", exclusive=options.exclusive)
    return shared_fingerprint(kind, plan.given(kind), plan.setting(kind), cores)


def earlier_run(config: pytest.Config, shared: Mapping[str, Fingerprint]) -> Resuming | None:
    """Return the earlier run whose results are taken over, None where none was named.

    Raises:
        UsageProblem: there is no such run.
    """
    reuse = config.stash[OPTIONS].reuse
    if reuse is None or not shared:
        return None
    plan = config.stash[PLAN]
    setting = plan.setting(plan.kinds[next(iter(shared))])
    return Resuming(find_run(reuse, "--reuse", setting), shared)


def gpus_to_lease(options: RunOptions) -> int | None:
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


def worker_hints(config: pytest.Config, run: Run) -> list[str]:
    """Return a sentence on workers that waited, in a list; empty where no case that was run needs a lease."""
    records = [] if run.results is None else run.results.ordered()
    kinds = config.stash[PLAN].kinds
    if not any("exclusive" in kinds[record.kind].shared for record in records):
        return []
    exclusive = config.stash[OPTIONS].exclusive
    hint = idle_workers(run.view, gpus=run.settings.resource_count, exclusive=exclusive)
    return [] if hint is None else [hint]
