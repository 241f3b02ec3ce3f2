"""The reranking kind: a ranker puts the candidates of queries in order, the relevant ones near the top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.evaluation import RunContext
from bench.core.kind import Finish, Kind, Section
from bench.core.options import Setting
from bench.report.metric_table import SCORE_PROPERTIES, metric_headline, metric_section
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
    return metric_section(KIND.name, finish.records, SHOWN)


def _inputs(case: RerankingCase) -> Sequence[Path]:
    from bench.reranking.library import QUERY_SETS, RANKERS  # noqa: PLC0415

    return [*RANKERS.inputs(case.ranker), *QUERY_SETS.inputs(case.dataset)]


KIND = Kind(
    name="reranking",
    options=RerankingOptions,
    make_cases=_make_cases,
    evaluation=_evaluation,
    table=_table,
    body=RerankingBody,
    resolve=resolve,
    check=check,
    headline=metric_headline,
    shared=("exclusive", "tables"),
    properties=SCORE_PROPERTIES,
    inputs=_inputs,
)
