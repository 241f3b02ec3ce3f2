"""Cases of the reranking kind: each ranker with each query set that it can rank, and a run of the user's own."""

from __future__ import annotations

from dataclasses import replace

from bench.core.names import safe_name
from bench.core.options import Setting
from bench.reranking.case import RerankingCase
from bench.reranking.library import QUERY_SETS, RANKERS
from bench.reranking.measures import metric_names
from bench.reranking.options import RerankingOptions


def make_cases(options: RerankingOptions, setting: Setting) -> list[RerankingCase]:
    """Return the cases in the order of rankers and sets; what cannot be evaluated is a case with a problem."""
    cases = _run_file_case(options)
    if not cases or options.rankers or options.query_sets:
        cases += _registered_cases(options)
    metrics = metric_names()
    return [
        replace(
            case,
            order=order,
            metrics=() if case.problem else metrics,
            min_score=None if case.expect else options.required(case.ranker, case.dataset),
        )
        for order, case in enumerate(cases)
    ]


def _run_file_case(options: RerankingOptions) -> list[RerankingCase]:
    if options.run_file is None or options.qrels is None:
        return []
    run, qrels = options.run_file.stem, options.qrels.stem
    name = f"{safe_name(run)}-{safe_name(qrels)}"
    return [RerankingCase(name, run, qrels, run_file=options.run_file, qrels=options.qrels)]


def _registered_cases(options: RerankingOptions) -> list[RerankingCase]:
    unknown = [_problem(name, RANKERS.unknown(name)) for name in options.rankers if name not in RANKERS]
    unknown += [
        _problem(name, QUERY_SETS.unknown(name)) for name in options.query_sets if name not in QUERY_SETS
    ]
    made, met = [], set()
    for name in options.rankers or tuple(RANKERS):
        for dataset in options.query_sets or tuple(QUERY_SETS):
            if name in RANKERS and dataset in QUERY_SETS and RANKERS[name].fits(dataset, QUERY_SETS[dataset]):
                made.append(_case(name, dataset, RANKERS[name].expect))
                met |= {name, dataset}
    idle = [name for name in (*options.rankers, *options.query_sets) if name not in met]
    unknown += [
        _problem(
            name,
            f"nothing that is named fits {name!r}, expected a ranker and a query set of the same form (such as text and "
            f"image); rankers: {', '.join(RANKERS)}; query sets: {', '.join(QUERY_SETS)}",
        )
        for name in idle
        if name in RANKERS or name in QUERY_SETS
    ]
    return made + unknown


def _case(ranker: str, dataset: str, expect: str | None) -> RerankingCase:
    prefix = "" if expect is None else "control-"
    return RerankingCase(f"{prefix}{safe_name(ranker)}-{safe_name(dataset)}", ranker, dataset, expect=expect)


def _problem(name: str, problem: str) -> RerankingCase:
    """Return the case of a name that was asked for and can be no case."""
    return RerankingCase(
        f"{safe_name(name)}-none",
        name if name in RANKERS else "-",
        name if name in QUERY_SETS else "-",
        problem=problem,
    )
