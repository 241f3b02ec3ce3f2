"""Cases of the language kind: models x datasets, large datasets in shards."""

from __future__ import annotations

from dataclasses import replace

from bench.core.errors import LanguageProblem
from bench.core.names import safe_name
from bench.core.options import Setting
from bench.language.case import LanguageCase
from bench.language.harness.cases import group_cases, open_ended, refuse_same_names, task_cases
from bench.language.judging.options import judge_problem
from bench.language.library import DATASETS, load_dataset
from bench.language.models.config import ModelConfig
from bench.language.options import LanguageSettings
from bench.language.rows import RowReader
from bench.language.shards import split
from bench.language.spec import Cloze, Dataset, Generation, Rolling

# Choices of a question if they are a field of the row: rows are not read at collection.
_USUAL_CHOICES = 4
# Texts are long, and each of their tokens is scored.
_ROLLING_COST = 10


def make_cases(settings: LanguageSettings, setting: Setting) -> list[LanguageCase]:
    """Return the cases of a run, in the order of its table; a dataset that cannot be used is a case with a problem."""
    reader = RowReader(settings.data, settings.rows)
    named = settings.datasets or (DATASETS if settings.harness is None else ())
    names = tuple(dict.fromkeys(named))
    refuse_same_names(names, settings.harness)
    whole = [
        replace(case, group=number)
        for number, model in enumerate(settings.models, 1)
        for case in (
            *(_whole(model, name, settings, reader) for name in names),
            *task_cases(model, settings),
        )
    ]
    shards = open_ended(split(whole, setting.workers, settings.max_task_size), settings.harness)
    shards += group_cases(settings, shards)
    return [replace(case, order=order) for order, case in enumerate(shards)]


def _whole(model: ModelConfig, name: str, settings: LanguageSettings, reader: RowReader) -> LanguageCase:
    """Return the case of a model on a whole dataset."""
    identity = f"{model.name}-{safe_name(name)}"
    try:
        dataset = load_dataset(name)
    except LanguageProblem as problem:
        return LanguageCase(identity, model.name, name, problem=str(problem))
    if settings.mode in ("all", "eval"):
        missing = judge_problem(dataset, settings.judge, has_reference=settings.reference is not None)
        if missing is not None:
            return LanguageCase(identity, model.name, name, problem=missing)
    count = reader.count(dataset.source)
    limit = settings.limit
    count = min(count, limit) if count is not None and limit else (count or limit)
    # An earlier run's record is of a whole dataset, however it was split then and would be now.
    known = count if settings.mode != "viz" else None
    return LanguageCase(
        identity, model.name, name, mode=dataset.inference.kind, protocol=dataset.protocol, rows=(0, known),
        min_score=settings.required(model.name, name),
        cost=cost(dataset, count or 1, model.max_out_len, settings.repeats),
        metrics=_metrics(dataset, settings.repeats) if settings.mode != "infer" else (),
    )  # fmt: skip


def _metrics(dataset: Dataset, repeats: int) -> tuple[str, ...]:
    judged = () if dataset.judge is None else dataset.judge.metrics
    if repeats == 1:
        return (*dataset.metrics, *judged)
    from bench.language.grading import metric_names  # noqa: PLC0415  imports numpy

    return (*metric_names(dataset, repeats), *judged)


def cost(dataset: Dataset, rows: int, max_out_len: int | None = None, repeats: int = 1) -> float:
    """Return what asking a dataset costs: rows x choices, or rows x output length for generation.

    In-context examples that differ between questions cost as much as one more question each. Examples that all questions
    share are read once in a run and cost nothing.

    Args:
        dataset: the dataset.
        rows: how many of its rows are asked.
        max_out_len: the model's own output length, in place of the dataset's.
        repeats: answers that are drawn to each question of a generation.
    """
    examples = dataset.examples.count if dataset.examples.retriever in ("random", "bm25", "sequence") else 0
    if isinstance(dataset.inference, Generation):
        each = ((max_out_len or dataset.inference.max_out_len) + examples * _USUAL_CHOICES) * repeats
    elif isinstance(dataset.inference, Rolling):
        each = _ROLLING_COST
    elif isinstance(dataset.inference, Cloze):
        each = 1 + examples
    else:
        each = len(dataset.choices) if isinstance(dataset.choices, tuple) else _USUAL_CHOICES
        each *= 1 + examples
    turns = _USUAL_CHOICES if dataset.circular else 1
    return float(rows * each * turns)
