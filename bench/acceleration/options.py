"""Options of acceleration cases, and what they resolve to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.acceleration.case import DEFAULT_MAX_QUALITY_LOSS, AccelerationCase
from bench.acceleration.host.process import ArmLimits
from bench.acceleration.inputs import NAMES as INPUT_NAMES
from bench.acceleration.prefetch import prefetch
from bench.acceleration.prompt_inputs import NO_INPUTS
from bench.acceleration.prompts import check_prompts, named_files
from bench.acceleration.quality_limits import QualityLimit
from bench.acceleration.timing import TimingPlan
from bench.core.case import Case
from bench.core.errors import UsageProblem
from bench.core.options import Place, Setting, option
from bench.metrics.clip_names import check_clip

DEFAULT_BATCH_SIZE = 4
SHARED = ("batch_size", "exclusive", "pass_env")
"""Options that kinds share and that acceleration cases use."""
_GIB = 2**30
_LEAST_MEMORY = 4 * _GIB


@dataclass(frozen=True)
class AccelerationOptions:
    """Options of acceleration cases, as they are given."""

    tasks: tuple[Path, ...] = option(
        "annotation lists (default: what ships)", (), metavar="FILE", neutral=True
    )
    candidates: tuple[Path, ...] = option(
        "generation lists, joined on prompt_id; those of the ini file only count without --tasks", (),
        metavar="FILE", neutral=True,
    )  # fmt: skip
    clip: Place | None = option(
        "open_clip model of the CLIP score (default: tiny-clip)", metavar="MODEL:PRETRAINED|DIR"
    )
    prompts: Place | None = option(
        "dataset of prompts: jsonl, parquet, csv, directory or hub name", metavar="FILE|DIR|NAME",
        files=named_files,
    )  # fmt: skip
    prompts_split: str | None = option("split of the prompts", metavar="SPLIT")
    prompts_column: str | None = option(
        "column of the prompts (default: caption, captions, prompt or text)", metavar="COLUMN"
    )
    prompts_inputs: tuple[str, ...] = option(
        "inputs that come with the prompts (default: those that there are columns or folders of)", (), metavar="NAME",
        choices=(*INPUT_NAMES, NO_INPUTS),
    )  # fmt: skip
    num_samples: int = option(
        "images or videos scored per arm; half of them where that decides", 32, metavar="N", least=2
    )
    max_quality_loss: float = option(
        "allowed relative loss of the CLIP score where a task names none",
        DEFAULT_MAX_QUALITY_LOSS, metavar="FRACTION", least=0,
    )  # fmt: skip
    extra_metrics: tuple[str, ...] = option(
        "metrics of other packages that are measured of every pair, such as lpips; see docs/metrics.md",
        (),
        metavar="NAME",
    )
    metric_python: dict[str, str] = option(
        "Pythons that have the packages of extra metrics (default: this one)", {}, metavar="NAME=PATH",
        example="lpips=/opt/lpips/bin/python",
    )  # fmt: skip
    safeguards: str = option(
        "what the images of a candidate must keep though no task asks for it: sharpness, noise, light, colour, place and "
        "variety as the baseline's, or nothing",
        "on", choices=("on", "off"),
    )  # fmt: skip
    time_budget: float = option(
        "seconds of timed rounds per pair, launches after the first included", 240.0, metavar="S", least=0
    )
    max_rounds: int = option("timed rounds per pair at most, in all launches", 48, metavar="N", least=4)
    max_launches: int = option(
        "how often a pair is started at most, while a gate of speed, latency or memory is undecided",
        8,
        metavar="N",
        least=1,
    )
    ungated_rounds: int = option(
        "timed rounds at most where no gate asks for the speed", 10, metavar="N", least=6
    )
    ungated_precision: float = option(
        "how precisely such a speedup is to be known, as half the width of its interval",
        0.25, metavar="FRACTION", least=0,
    )  # fmt: skip
    ungated_time: float = option(
        "seconds of rounds after which such a speedup gets no more of them than its interval needs",
        20.0, metavar="SECONDS", least=0,
    )  # fmt: skip
    warmup_rounds: int = option(
        "untimed calls first in each launch, the first call included", 2, metavar="N", least=1
    )
    max_foreign_load: float = option(
        "share of the leased cores' time that other processes may use during the rounds; above it, a verdict on speed is "
        "inconclusive",
        0.25, metavar="FRACTION", least=0,
    )  # fmt: skip
    load_timeout: float = option(
        "seconds to load a pipeline, and again for its first call", 300.0, metavar="S", least=0.1
    )
    round_timeout: float = option("seconds for one batch", 300.0, metavar="S", least=0.1)
    memory_limit: float | None = option(
        "address space of one arm (default: from the machine's)", metavar="GB", above=0
    )
    disk_limit: float | None = option(
        "what the private directory of one arm may hold; in a jail it is in memory (default: a quarter of --memory-limit)",
        metavar="GB", above=0,
    )  # fmt: skip
    output_limit: float = option("what one arm may print", 8.0, metavar="MB", least=0)
    isolation: str = option(
        "what keeps an arm from the rest of the machine: a jail as far as the system has one, a process with a home, "
        "temporary folder and environment of its own, or nothing but that it is a process",
        "jail", choices=("jail", "process", "none"),
    )  # fmt: skip
    allow_read: tuple[Path, ...] = option(
        "files and folders that jailed arms may read besides the project of their file, its models and the model caches", (),
        metavar="PATH", neutral=True,
    )  # fmt: skip
    prefetch: bool = option(
        "load the models that the files name from the hub before any arm starts, since arms have no network", False,
        neutral=True,
    )  # fmt: skip


@dataclass(frozen=True)
class ResolvedOptions:
    """Options of acceleration cases, as they are used.

    Attributes:
        given: the options.
        candidates: generation lists that count.
        plan: sizes and limits of the timing.
        limits: what one arm may use.
        on_command_line: names of the options that the command line gave.
    """

    given: AccelerationOptions
    candidates: tuple[Path, ...]
    plan: TimingPlan
    limits: ArmLimits
    on_command_line: frozenset[str] = frozenset()


def resolve(options: AccelerationOptions, setting: Setting) -> ResolvedOptions:
    """Return the options as they are used.

    Raises:
        UsageProblem: a value that cannot be used, or an option that does not apply next to another one.
    """
    given = setting.given
    if "memory_limit" in given and setting.run.device == "cuda":
        raise UsageProblem(
            f"--memory-limit {options.memory_limit:g}: found it next to --device cuda, expected it on a CPU only: CUDA "
            "reserves more address space than it uses; leave it out"
        )
    check_extras(options)
    # The lists that ship belong to the tasks that ship.
    no_lists = "tasks" in given and "candidates" not in given
    return ResolvedOptions(
        given=options,
        candidates=() if no_lists else options.candidates,
        plan=TimingPlan(
            batch_size=_batch_size(setting.run.batch_size),
            warmup_rounds=options.warmup_rounds,
            max_rounds=options.max_rounds,
            ungated_rounds=options.ungated_rounds,
            ungated_precision=options.ungated_precision,
            ungated_s=options.ungated_time,
            time_budget_s=options.time_budget,
            max_foreign_load=options.max_foreign_load,
            max_launches=options.max_launches,
        ),
        limits=_limits(options, setting),
        on_command_line=given,
    )


_UNGATED = "a task without a required speedup and a latency limit"


def check(options: ResolvedOptions, cases: Sequence[Case]) -> None:
    """Refuse an option that concerns none of the cases that are run, and the lack of one that they need.

    Raises:
        UsageProblem: the option, what was expected, what to do.
    """
    tasks = [case for case in cases if isinstance(case, AccelerationCase) and case.problem is None]
    if not tasks:
        return
    given = options.given
    if given.prefetch:
        prefetch(tasks)
    shares_prompts = any(task.prompts_file is None for task in tasks)
    for name, is_needed, value, what in (
        ("clip", True, given.clip, "an open_clip model for the CLIP score"),
        ("prompts", shares_prompts, given.prompts, "a dataset of prompts"),
    ):
        if is_needed and value is None:
            raise UsageProblem(f"--{name}: none was given, expected {what}; give it, or set modelgate_{name}")
    check_clip(str(given.clip))
    if shares_prompts:
        check_prompts(
            str(given.prompts), split=given.prompts_split, column=given.prompts_column, count=given.num_samples,
            inputs=given.prompts_inputs, one_size=options.plan.batch_size > 1,
        )  # fmt: skip
    own_allowance = all(task.max_quality_loss != given.max_quality_loss for task in tasks)
    gated = all(task.is_speed_gated or task.is_control for task in tasks)
    for name, is_idle, expected in (
        ("max_quality_loss", own_allowance, "a task without max_quality_loss"),
        *((name, gated, _UNGATED) for name in ("ungated_rounds", "ungated_precision", "ungated_time")),
    ):
        if is_idle and name in options.on_command_line:
            raise UsageProblem(
                f"--{name.replace('_', '-')} {getattr(given, name):g}: found no case that is run and uses it, expected "
                f"{expected}; leave it out, or run such a task"
            )


def quality_problem(options: ResolvedOptions, limit: QualityLimit) -> str | None:
    """Return why a limit of a metric cannot be judged in this run; None where it can."""
    from bench.metrics.extra_metrics import EXTRAS, missing_package  # noqa: PLC0415  loads numpy

    count, least = options.given.num_samples, limit.facts.least_images
    if count < least:
        return (
            f"{limit.metric} is too biased to be judged of {count} images; expected at least {least:,}; raise "
            "--num-samples, or limit another metric"
        )
    if limit.metric in EXTRAS and not limit.lifted:
        return missing_package(limit.metric, options.given.metric_python)
    return None


def check_extras(options: AccelerationOptions) -> None:
    """Refuse extra metrics that there are not, or that no Python is known to have.

    Raises:
        UsageProblem: what was found, what was expected.
    """
    if not (options.extra_metrics or options.metric_python):
        return
    from bench.metrics.extra_metrics import EXTRAS, check_pythons, missing_package  # noqa: PLC0415  loads numpy

    check_pythons(options.metric_python)
    for name in options.extra_metrics:
        if name not in EXTRAS:
            raise UsageProblem(
                f"--extra-metrics {name}: {EXTRAS.unknown(name)}; known are {', '.join(EXTRAS)}"
            )
        missing = missing_package(name, options.metric_python)
        if missing is not None:
            raise UsageProblem(f"--extra-metrics {name}: {missing}")


def prompts_problem(options: ResolvedOptions, file: Path) -> str | None:
    """Return what is wrong with the prompts of a task, None where nothing is seen without loading a folder."""
    try:
        check_prompts(
            str(file), split=None, column=None, count=options.given.num_samples,
            one_size=options.plan.batch_size > 1, advice="rename the one that holds the prompts",
        )  # fmt: skip
    except UsageProblem as problem:
        return str(problem).removeprefix("--prompts ")
    return None


def _batch_size(text: str | None) -> int:
    """Return the images per call; ``auto`` is for language models, whose batches shrink when memory runs out."""
    if text is None or text == "auto":
        return DEFAULT_BATCH_SIZE
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise UsageProblem(f"--batch-size {text}: expected an integer from 1, or `auto`")
    return int(text)


def _limits(options: AccelerationOptions, setting: Setting) -> ArmLimits:
    """Return the limits of an arm; memory by default a fair part of the machine's, at least 4 GB."""
    share = max(_LEAST_MEMORY, _total_memory() // (2 * setting.workers))
    memory: int | None
    if setting.run.device == "cuda":
        memory = None  # CUDA maps far more address space than it uses: the limit would only break it
    elif options.memory_limit is not None:
        memory = share = int(options.memory_limit * _GIB)
    else:
        memory = share
    return ArmLimits(
        load_timeout_s=options.load_timeout,
        round_timeout_s=options.round_timeout,
        memory_bytes=memory,
        output_bytes=int(options.output_limit * 2**20),
        disk_bytes=int(options.disk_limit * _GIB) if options.disk_limit is not None else share // 4,
    )


def _total_memory() -> int:
    import psutil  # noqa: PLC0415  only a run with acceleration cases needs it

    total: int = psutil.virtual_memory().total
    return total
