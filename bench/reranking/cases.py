"""Cases of the reranking kind: each ranker with each query set that it can rank, or a run or table of the user's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.core.names import safe_name
from bench.core.options import Setting
from bench.reranking.asked import asked_metrics, required_metrics, short_names
from bench.reranking.base import GAIN_OVER_BASE, GAIN_OVER_RANDOM, OVER_BASE
from bench.reranking.case import RerankingCase
from bench.reranking.library import QUERY_SETS, RANKERS
from bench.reranking.measures import metric_names
from bench.reranking.options import RerankingOptions, predictions_of


def make_cases(options: RerankingOptions, setting: Setting) -> list[RerankingCase]:
    """Return the cases in the order of rankers and sets; what cannot be evaluated is a case with a problem.

    Raises:
        UsageProblem: a metric of ``--rank-metrics`` that there is not.
    """
    asked = asked_metrics(options.rank_metrics)
    primary = next(iter(asked.values()), None)
    asked |= required_metrics(getattr(setting, "requirements", ()))
    cases = _given_case(options, predictions_of(setting))
    if not cases or options.rankers or options.query_sets:
        cases += _registered_cases(options)
    return [
        replace(
            case,
            order=order,
            asked=tuple(asked.items()),
            primary=primary,
            metrics=() if case.problem else _metrics(case, asked),
            min_score=None if case.expect else options.required(case.ranker, case.dataset),
        )
        for order, case in enumerate(cases)
    ]


def _metrics(case: RerankingCase, asked: dict[str, str]) -> tuple[str, ...]:
    """Return the names of all that can be required of a case."""
    names = tuple(dict.fromkeys((*metric_names(), *short_names(asked))))
    over = (GAIN_OVER_BASE, *(f"{name}{OVER_BASE}" for name in names)) if case.base_run is not None else ()
    return tuple(dict.fromkeys((*names, *asked, GAIN_OVER_RANDOM, *over)))


def _given_case(options: RerankingOptions, table: Path | None) -> list[RerankingCase]:
    """Return the case of the user's own run or table, if there is one."""
    judged = options.run_file if table is None else table
    if judged is None:
        return []
    ranker = _stem(judged)
    dataset = ranker if options.qrels is None else _stem(options.qrels)
    name = safe_name(ranker) if options.qrels is None else f"{safe_name(ranker)}-{safe_name(dataset)}"
    return [
        RerankingCase(
            name, ranker, dataset, run_file=options.run_file, predictions=table, qrels=options.qrels,
            base_run=options.base_run,
        )
    ]  # fmt: skip


def _stem(path: Path) -> str:
    """Return the name of a file without its suffix, and without that of gzip."""
    return Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem


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
