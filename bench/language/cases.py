"""Cases of the language kind: models x datasets, large datasets in shards."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from bench.core.case import LanguageCase
from bench.core.errors import LanguageProblem
from bench.core.names import safe_name
from bench.language.evaluation import shard_spans
from bench.language.library import Library
from bench.language.models.config import ModelConfig
from bench.language.options import LanguageOptions
from bench.language.rows import RowReader
from bench.language.spec import Dataset, Generation, Rolling

# Choices of a question where they are a field of the row; rows are not read at collection.
_USUAL_CHOICES = 4
# Texts are long, and each of their tokens is scored.
_ROLLING_COST = 10

# A shard costs no more than this, nor than a fourth of a worker's part of the run: the last to finish then
# keeps the others waiting for a fourth of their time at most. Cases of a run are named after their shards, so
# that no fewer workers than four are reckoned with: a run has the same cases with -n 4, -n 2 and serial.
_LARGEST_SHARD = 20_000
_SHARDS_OF_WORKER = 4
_LEAST_WORKERS = 4
# What is split further costs more in beginning anew than anyone waits for.
_SMALLEST_SHARD = 5_000


def make_cases(options: LanguageOptions, library: Library) -> list[LanguageCase]:
    """Return the cases of a run, in the order of its table; what cannot be evaluated is a case with a problem."""
    reader = RowReader(options.data, options.own_rows)
    names = tuple(dict.fromkeys(options.datasets or tuple(library)))
    whole = [
        replace(_combination(model, name, options, library, reader), group=number)
        for number, model in enumerate(options.models, 1)
        for name in names
    ]
    largest = options.max_task_size or _largest_shard(whole, options.workers)
    shards = [shard for case in whole for shard in _split(case, largest)]
    return [replace(case, order=order) for order, case in enumerate(shards)]


def _combination(
    model: ModelConfig, name: str, options: LanguageOptions, library: Library, reader: RowReader
) -> LanguageCase:
    identity = f"{model.name}-{safe_name(name)}"
    try:
        dataset = library.load(name)
    except LanguageProblem as problem:
        return LanguageCase(identity, model.name, name, problem=str(problem))
    count = reader.count(dataset.source)
    count = min(count, options.limit) if count is not None and options.limit else (count or options.limit)
    # An earlier run's record is of a whole dataset, however it was split then and would be now.
    known = count if options.mode != "viz" else None
    return LanguageCase(
        identity, model.name, name, mode=dataset.inference.kind, min_score=options.required(model.name, name),
        rows=(0, known), cost=cost(dataset, count or 1, model.max_out_len),
    )  # fmt: skip


def _largest_shard(cases: list[LanguageCase], workers: int) -> float:
    total = sum(case.cost for case in cases)
    part = total / (_SHARDS_OF_WORKER * max(workers, _LEAST_WORKERS))
    return min(_LARGEST_SHARD, max(_SMALLEST_SHARD, part))


def _split(case: LanguageCase, largest: float) -> list[LanguageCase]:
    """Return the shards of a case; one that is not split ends where the dataset does."""
    count = case.rows[1]
    shards = 1 if count is None else min(ceil(case.cost / largest), count)
    if count is None or shards <= 1:
        return [replace(case, rows=(0, None))]
    return [
        replace(
            case, id=f"{case.id}-{index}of{shards}", rows=span, shard=index, shards=shards, cost=case.cost / shards
        )
        for index, span in enumerate(shard_spans(count, shards), 1)
    ]  # fmt: skip


def cost(dataset: Dataset, rows: int, max_out_len: int | None = None) -> float:
    """Return what a dataset costs to ask: rows x choices, or rows x output length for generation.

    In-context examples are read like one more question each, but those of all questions once for the run.

    Args:
        dataset: the dataset.
        rows: how many of its rows are asked.
        max_out_len: the model's own output length, in place of the dataset's.
    """
    examples = dataset.examples.count if dataset.examples.retriever in ("random", "bm25") else 0
    if isinstance(dataset.inference, Generation):
        each = (max_out_len or dataset.inference.max_out_len) + examples * _USUAL_CHOICES
    elif isinstance(dataset.inference, Rolling):
        each = _ROLLING_COST
    else:
        each = len(dataset.choices) if isinstance(dataset.choices, tuple) else _USUAL_CHOICES
        each *= 1 + examples
    turns = _USUAL_CHOICES if dataset.circular else 1
    return float(rows * each * turns)
