"""The evaluated kind: what a user's own Trainer evaluated and a `RecordCallback` wrote down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.core.evaluation import RunContext
from bench.core.kind import Finish, Kind, Section
from bench.core.options import Setting
from bench.evaluated.case import EvaluatedCase
from bench.evaluated.options import EvaluatedOptions, resolve
from bench.evaluated.record import EvaluatedBody
from bench.report.metric_table import SCORE_PROPERTIES, metric_headline, metric_section

if TYPE_CHECKING:
    from bench.evaluated.evaluation import EvaluatedEvaluation

SHOWN = (
    "pearson", "spearman", "mae", "rmse", "qwk", "mrr@10", "ndcg@10", "recall@1", "recall@10", "map",
)  # fmt: skip


def _make_cases(options: EvaluatedOptions, setting: Setting) -> Sequence[EvaluatedCase]:
    from bench.evaluated.cases import make_cases  # noqa: PLC0415

    return make_cases(options, setting)


def _evaluation(case: EvaluatedCase, context: RunContext, resources: None) -> EvaluatedEvaluation:
    from bench.evaluated.evaluation import EvaluatedEvaluation  # noqa: PLC0415

    return EvaluatedEvaluation(case, context)


def _table(finish: Finish) -> Section:
    section = metric_section(KIND.name, finish.records, SHOWN)
    notes = [
        f"{record.id}: {_remarks(record.body.queries)}" for record in finish.records if record.body.queries
    ]
    return Section(
        section.kind, section.rows, [*section.notes, *(note for note in notes if not note.endswith(": "))]
    )


def _remarks(counts: Mapping[str, int]) -> str:
    """Return which queries of a ranking are not like the others; empty where all were scored."""
    words = {"without_relevant": "without a relevant document", "without_candidates": "without candidates"}
    found = [f"{counts[name]} {what}" for name, what in words.items() if counts.get(name)]
    return f"{counts.get('total', 0)} queries, {', '.join(found)}" if found else ""


KIND = Kind(
    name="evaluated",
    options=EvaluatedOptions,
    make_cases=_make_cases,
    evaluation=_evaluation,
    table=_table,
    body=EvaluatedBody,
    resolve=resolve,
    headline=metric_headline,
    properties=SCORE_PROPERTIES,
)
