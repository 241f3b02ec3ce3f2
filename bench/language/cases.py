"""Cases of the language kind: models x datasets, large datasets in shards."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from bench.case import LanguageCase
from bench.errors import LanguageProblem
from bench.identity import safe_name
from bench.language.evaluation import shard_spans
from bench.language.library import Library
from bench.language.options import LanguageOptions
from bench.language.rows import RowReader
from bench.language.spec import Dataset, Generation, Rolling

# Choices of a question where they are a field of the row; rows are not read at collection.
_USUAL_CHOICES = 4
# Texts are long, and each of their tokens is scored.
_ROLLING_COST = 10


def make_cases(options: LanguageOptions, library: Library) -> list[LanguageCase]:
    """Return the cases of a run, in the order of its table; what cannot be evaluated is a case with a problem."""
    reader = RowReader(options.data, options.own_rows)
    names = options.datasets or tuple(library)
    cases: list[LanguageCase] = []
    for number, model in enumerate(options.models):
        for name in dict.fromkeys(names):
            made = _cases_of(model.name, name, options, library, reader)
            cases += [
                replace(case, group=number + 1, order=len(cases) + place) for place, case in enumerate(made)
            ]
    return cases


def _cases_of(
    model: str, name: str, options: LanguageOptions, library: Library, reader: RowReader
) -> list[LanguageCase]:
    identity = f"{model}-{safe_name(name)}"
    try:
        dataset = library.load(name)
    except LanguageProblem as problem:
        return [LanguageCase(identity, model, name, problem=str(problem))]
    count = reader.count(dataset.source)
    count = min(count, options.limit) if count is not None and options.limit else (count or options.limit)
    case = LanguageCase(
        identity, model, name, mode=dataset.inference.kind, min_score=options.required(model, name),
        cost=cost(dataset, count or 1),
    )  # fmt: skip
    if count is None:
        return [case]
    shards = min(ceil(case.cost / options.max_task_size), count)
    if shards <= 1:
        return [replace(case, rows=(0, None))]
    return [
        replace(
            case,
            id=f"{identity}-{index}of{shards}",
            rows=span,
            shard=index,
            shards=shards,
            cost=case.cost / shards,
        )
        for index, span in enumerate(shard_spans(count, shards), 1)
    ]


def cost(dataset: Dataset, rows: int) -> float:
    """Return what a dataset costs to ask: rows x choices, or rows x output length for generation."""
    if isinstance(dataset.inference, Generation):
        each = dataset.inference.max_out_len
    elif isinstance(dataset.inference, Rolling):
        each = _ROLLING_COST
    else:
        each = len(dataset.choices) if isinstance(dataset.choices, tuple) else _USUAL_CHOICES
    turns = _USUAL_CHOICES if dataset.circular else 1
    return float(rows * each * turns)
