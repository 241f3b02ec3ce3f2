"""The regression kind: an encoder, fine-tuned on scored texts, predicts the scores of texts that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.evaluation import RunContext
from bench.core.kind import Finish, Kind, Section
from bench.core.options import Setting
from bench.regression.case import RegressionCase
from bench.regression.options import RegressionOptions, resolve
from bench.regression.record import RegressionBody
from bench.report.metric_table import SCORE_PROPERTIES, metric_headline, metric_section

if TYPE_CHECKING:
    from bench.regression.evaluation import RegressionEvaluation, RegressionResources

SHOWN = ("pearson", "spearman", "mae", "rmse", "qwk")


def _make_cases(options: RegressionOptions, setting: Setting) -> Sequence[RegressionCase]:
    from bench.regression.cases import make_cases  # noqa: PLC0415  imports numpy

    return make_cases(options, setting)


def _hints(options: RegressionOptions, setting: Setting) -> Sequence[str]:
    from bench.regression.cases import hints  # noqa: PLC0415

    return hints(options, setting)


def _evaluation(
    case: RegressionCase, context: RunContext, resources: RegressionResources
) -> RegressionEvaluation:
    from bench.regression.evaluation import RegressionEvaluation  # noqa: PLC0415

    return RegressionEvaluation(case, context, resources)


def _table(finish: Finish) -> Section:
    return metric_section(KIND.name, finish.records, SHOWN)


def _inputs(case: RegressionCase) -> Sequence[Path]:
    from bench.regression.registry import DATASETS, MODELS, TASKS  # noqa: PLC0415

    if case.task not in TASKS:
        return []
    task = TASKS[case.task]()
    named = [
        Path(value) for value in task.model_args.values() if isinstance(value, str) and Path(value).exists()
    ]
    return [
        *TASKS.inputs(case.task), *DATASETS.inputs(task.dataset), *MODELS.inputs(task.model), *named,
    ]  # fmt: skip


KIND = Kind(
    name="regression",
    options=RegressionOptions,
    make_cases=_make_cases,
    evaluation=_evaluation,
    table=_table,
    body=RegressionBody,
    resolve=resolve,
    headline=metric_headline,
    shared=("exclusive", "tables"),
    properties=SCORE_PROPERTIES,
    hints=_hints,
    inputs=_inputs,
)
