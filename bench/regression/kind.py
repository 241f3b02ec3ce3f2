"""The regression kind: an encoder, fine-tuned on scored texts, predicts the scores of texts that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.evaluation import RunContext
from bench.core.kind import Finish, Kind, Rows, Section
from bench.core.options import Setting
from bench.core.page import KindView, PageRequest
from bench.core.record import Record
from bench.regression.case import RegressionCase
from bench.regression.options import RegressionOptions, resolve
from bench.regression.record import RegressionBody, ScoreGroup, named
from bench.report.metric_table import HEADER, SCORE_PROPERTIES, metric_headline, metric_section

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
    section = metric_section(KIND.name, finish.records, _shown(finish.records))
    return Section(section.kind, _with_groups(section.rows, finish.records), section.notes)


def _shown(records: Sequence[Record]) -> tuple[str, ...]:
    """Return the metrics of the table, those of several targets after the plain ones."""
    names = dict.fromkeys(name for record in records for name in record.metrics or ())
    return (*SHOWN, *(name for name in names if name.endswith(tuple(f"_{metric}" for metric in SHOWN))))


def _with_groups(rows: Rows, records: Sequence[Record]) -> Rows:
    """Put a row for each group that has a range of its own below the row of its case."""
    if not rows:
        return rows
    header, *each = rows
    found = [header]
    for row, record in zip(each, records, strict=True):
        found.append(row)
        by_group: dict[str, list[ScoreGroup]] = {}
        for one in record.body.groups:
            by_group.setdefault(one.group, []).append(one)
        for group, of_targets in by_group.items():
            values = {
                named(one.target, name): estimate.text()
                for one in of_targets
                for name, estimate in one.metrics.items()
            }
            first = of_targets[0]
            within = f"{first.low:g} to {first.high:g}" if len(of_targets) == 1 else "each on its range"
            gain = first.gain.text() if len(of_targets) == 1 and first.gain is not None else "-"
            cells = (values.get(name, "-") for name in header[len(HEADER) : -1])
            found.append((f"  {group}: {within}", "-", str(first.n), *cells, gain))
    return found


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


def _page(request: PageRequest) -> KindView:
    from bench.regression.page import view  # noqa: PLC0415  only the end of a run needs it

    return view(request)


def _samples(request: PageRequest, record: Record) -> Mapping[str, Mapping[str, float]]:
    from bench.regression.page import samples  # noqa: PLC0415  only a comparison needs it

    return samples(request, record)


KIND = Kind(
    name="regression",
    options=RegressionOptions,
    make_cases=_make_cases,
    evaluation=_evaluation,
    table=_table,
    body=RegressionBody,
    resolve=resolve,
    headline=metric_headline,
    page=_page,
    samples=_samples,
    shown_columns=SHOWN,
    shared=("exclusive", "tables", "predictions"),
    properties=SCORE_PROPERTIES,
    hints=_hints,
    inputs=_inputs,
)
