"""The reranking kind: a ranker puts the candidates of queries in order, the relevant ones near the top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.evaluation import RunContext
from bench.core.kind import Finish, Kind, Section
from bench.core.options import Setting
from bench.core.page import KindView, PageRequest
from bench.core.record import Record
from bench.report.metric_table import SCORE_PROPERTIES, metric_headline, metric_section, signed
from bench.reranking.case import RerankingCase
from bench.reranking.options import RerankingOptions, check, resolve
from bench.reranking.record import RerankingBody

if TYPE_CHECKING:
    from bench.reranking.evaluation import RerankingEvaluation, RerankingResources

SHOWN = ("mrr@10", "ndcg@10", "recall@1", "recall@10", "map")


def _make_cases(options: RerankingOptions, setting: Setting) -> Sequence[RerankingCase]:
    from bench.reranking.cases import make_cases  # noqa: PLC0415  imports the metrics

    return make_cases(options, setting)


def _evaluation(
    case: RerankingCase, context: RunContext, resources: RerankingResources
) -> RerankingEvaluation:
    from bench.reranking.evaluation import RerankingEvaluation  # noqa: PLC0415

    return RerankingEvaluation(case, context, resources)


def _table(finish: Finish) -> Section:
    """Return the table: metrics, and of which queries they are."""
    records, asked = finish.records, getattr(finish.options, "rank_metrics", ())
    section = metric_section(KIND.name, records, _shown(asked) or SHOWN)
    base = any(record.body.base is not None for record in records)
    (header, *rows) = section.rows
    added = ("queries", *(("gain over the base run",) if base else ()))
    cells = [(_queries(record), *((_base(record),) if base else ())) for record in records]
    rows = [(*header, *added), *((*row, *more) for row, more in zip(rows, cells, strict=True))]
    notes = [
        f"{record.id}: {record.body.queries.total} queries, {record.body.queries.remarks}"
        for record in records
        if record.body.queries is not None and record.body.queries.remarks
    ]
    return Section(section.kind, rows, [*section.notes, *notes])


def _shown(asked: Sequence[str]) -> tuple[str, ...]:
    if not asked:
        return ()
    from bench.reranking.asked import asked_metrics, short_names  # noqa: PLC0415

    return short_names(asked_metrics(asked))


def _queries(record: Record) -> str:
    counts = record.body.queries
    if counts is None:
        return "-"
    parts = {
        "without relevant": counts.without_relevant,
        "not in qrels": counts.unmatched,
        "without candidates": counts.without_candidates,
    }
    return ", ".join([str(counts.total), *(f"{count} {what}" for what, count in parts.items() if count)])


def _base(record: Record) -> str:
    return "-" if record.body.base is None else record.body.base.text()


def _headline(record: Record) -> str:
    """Return score and gains in a few words, and how many queries are not like the others."""
    parts, base, counts = [metric_headline(record)], record.body.base, record.body.queries
    if base is not None and base.value is not None:
        parts.append(f"{signed(base, '.3f')} over {base.over}")
    if counts is not None and counts.remarks:
        parts.append(f"{counts.total} queries: {counts.remarks}")
    return ", ".join(part for part in parts if part)


def _inputs(case: RerankingCase) -> Sequence[Path]:
    from bench.reranking.library import QUERY_SETS, RANKERS  # noqa: PLC0415

    return [*RANKERS.inputs(case.ranker), *QUERY_SETS.inputs(case.dataset)]


def _page(request: PageRequest) -> KindView:
    from bench.reranking.page import view  # noqa: PLC0415  only the end of a run needs it

    return view(request)


def _samples(request: PageRequest, record: Record) -> Mapping[str, Mapping[str, float]]:
    from bench.reranking.page import samples  # noqa: PLC0415  only a comparison needs it

    return samples(request, record)


KIND = Kind(
    name="reranking",
    options=RerankingOptions,
    make_cases=_make_cases,
    evaluation=_evaluation,
    table=_table,
    body=RerankingBody,
    resolve=resolve,
    check=check,
    headline=_headline,
    page=_page,
    samples=_samples,
    shown_columns=SHOWN,
    shared=("exclusive", "tables", "predictions"),
    properties=SCORE_PROPERTIES,
    inputs=_inputs,
)
