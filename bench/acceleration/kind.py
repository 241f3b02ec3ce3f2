"""The acceleration kind: is a faster version of a diffusion pipeline the same pipeline, still good, and fast enough?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.acceleration import compared, options, report
from bench.acceleration.case import DIFFICULTIES, LEVELS, AccelerationCase
from bench.acceleration.host.service import start_fork_server
from bench.acceleration.options import AccelerationOptions, ResolvedOptions
from bench.acceleration.prompts import named_files
from bench.acceleration.record import AccelerationBody
from bench.acceleration.summary_keys import AccelerationSummary
from bench.core.case import Case
from bench.core.evaluation import RunContext
from bench.core.extras import DIFFUSION
from bench.core.kind import Kind
from bench.core.options import Setting
from bench.core.page import KindView, PageRequest

if TYPE_CHECKING:
    from bench.acceleration.evaluation import AccelerationEvaluation, AccelerationResources

FORK_SERVER = "fork_server"
"""Name of the service from which arms are forked."""


def make_cases(resolved: ResolvedOptions, setting: Setting) -> Sequence[AccelerationCase]:
    """Return the cases of the task files."""
    from bench.acceleration.tasks.join import load_cases  # noqa: PLC0415  other kinds need none of it

    return load_cases(
        resolved.given.tasks,
        resolved.candidates,
        default_max_quality_loss=resolved.given.max_quality_loss,
        metrics=metric_names(resolved.given.extra_metrics),
        prompts_problem=partial(options.prompts_problem, resolved),
        quality_problem=partial(options.quality_problem, resolved),
    )


def inputs(case: Case) -> Sequence[Path]:
    """Return the files that the rows of a task's own prompts name."""
    assert isinstance(case, AccelerationCase)
    return () if case.prompts_file is None else named_files(str(case.prompts_file))


def metric_names(extras: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of what is measured of a pair, extra metrics that were asked for included."""
    from bench.metrics.shipped_images import IMAGE_METRICS  # noqa: PLC0415
    from bench.metrics.video_fidelity import TEMPORAL_DIFFERENCE  # noqa: PLC0415

    of_outputs = ("clip_score", "clip_image_cosine", *IMAGE_METRICS, TEMPORAL_DIFFERENCE, *extras)
    return ("speedup", "latency_s", "quality_loss", *of_outputs)


def page(request: PageRequest) -> KindView:
    """Return what the page of a run shows of the cases."""
    from bench.acceleration.page.view import view  # noqa: PLC0415  only the end of a run needs it

    return view(request)


def evaluation(
    case: AccelerationCase, context: RunContext, resources: AccelerationResources
) -> AccelerationEvaluation:
    """Return the evaluation of a case."""
    from bench.acceleration.evaluation import AccelerationEvaluation  # noqa: PLC0415  loads numpy

    return AccelerationEvaluation(case, context, resources)


def markers(case: Case) -> tuple[str, ...]:
    """Return the difficulty and the level."""
    assert isinstance(case, AccelerationCase)
    return (case.difficulty, *(() if case.level is None else (case.level.lower(),)))


KIND = Kind(
    name=AccelerationCase.kind,
    options=AccelerationOptions,
    make_cases=make_cases,
    evaluation=evaluation,
    table=report.table,
    body=AccelerationBody,
    resolve=options.resolve,
    check=options.check,
    headline=report.headline,
    markers=markers,
    marker_help={
        **dict.fromkeys(DIFFICULTIES, "a case of this difficulty"),
        **{name.lower(): f"a case of level {name}" for name in LEVELS},
    },
    page=page,
    compared=compared.compared,
    samples=compared.samples,
    columns=compared.columns,
    shown_columns=compared.SHOWN,
    summarize=report.summarize,
    run_facts=report.run_facts,
    summary_keys=AccelerationSummary,
    shared=options.SHARED,
    inputs=inputs,
    properties=report.PROPERTIES,
    is_timed=True,
    draws_inputs=True,
    services={FORK_SERVER: start_fork_server},
    packages=("torch", "diffusers", "transformers", "open_clip"),
    extra=DIFFUSION,
)
