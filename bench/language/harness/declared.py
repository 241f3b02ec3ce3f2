"""What is known of a task from its YAML file alone, before lm-evaluation-harness is imported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bench.language.harness.index import FunctionName
from bench.language.harness.selection import HarnessGroup, HarnessTask, Selection
from bench.language.spec import Dataset, Generation, Inference, LogLikelihood, Rolling, Source

UNFILTERED = "none"
# What lm-evaluation-harness measures where a task names no metrics.
_USUAL_METRICS = {
    "loglikelihood": ("perplexity", "acc"),
    "loglikelihood_rolling": ("word_perplexity", "byte_perplexity", "bits_per_byte"),
    "multiple_choice": ("acc", "acc_norm"),
    "generate_until": ("exact_match",),
}
_USUAL_LENGTH = 256
PASS_K = "pass_k"
"""Key of a task's metadata: the k of pass@k that its own metric does not give."""
# What a task's own code calls to run a program by itself.
_RUNS_BY_ITSELF = ("exec(", "eval(", "subprocess", "multiprocessing", "os.system")
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_KEY_OF_RESULT = re.compile(r"[\"']([\w@.+-]+)[\"']\s*:")


def metric_name(metric: str, filtered: str) -> str:
    """Return the name of a metric after a filter; one without a filter has the metric's own name."""
    return metric if filtered == UNFILTERED else f"{metric}/{filtered}"


def output_type(task: HarnessTask) -> str:
    """Return which requests a task makes."""
    return str(task.config.get("output_type") or "generate_until")


def filters(task: HarnessTask) -> tuple[str, ...]:
    """Return the names of a task's filters."""
    listed = task.config.get("filter_list") or []
    return tuple(str(one["name"]) for one in listed) or (UNFILTERED,)


def metrics(task: HarnessTask) -> tuple[str, ...]:
    """Return the metrics of a task after each of its filters, as far as its files name them."""
    names = tuple(dict.fromkeys(_metrics(task)))
    return tuple(metric_name(name, filtered) for filtered in filters(task) for name in names)


def group_metrics(group: HarnessGroup, selection: Selection) -> tuple[str, ...]:
    """Return the metrics of a group."""
    found: dict[str, None] = {}
    for aggregate in group.aggregates:
        tasks = [selection.tasks[name] for name in group.tasks]
        used = aggregate.filters or tuple(dict.fromkeys(name for task in tasks for name in filters(task)))
        found |= dict.fromkeys(metric_name(aggregate.metric, filtered) for filtered in used)
    return tuple(found)


def stand_in(task: HarnessTask) -> Dataset:
    """Return a task in the form of a dataset file, as far as costs, limits and tables are concerned."""
    kind = output_type(task)
    inference: Inference = LogLikelihood()
    if kind == "generate_until":
        inference = Generation(max_out_len=_length(task))
    elif kind == "loglikelihood_rolling":
        inference = Rolling()
    path = task.config.get("dataset_path")
    return Dataset(
        source=Source(hub=f"{path or task.name}", rows=task.name, train_split=None),
        prompt="",
        inference=inference,
        choices="choices" if isinstance(inference, LogLikelihood) else (),
        metrics=metrics(task) or ("score",),
    )


def refusal(task: HarnessTask) -> str | None:
    """Return why a task is not run; None if nothing is known against it."""
    config = task.config
    if config.get("unsafe_code") and not runs_programs(task):
        return (
            f"{task.name}: found a task that runs what a model writes by code of its own, expected one that runs it by the "
            "metric code_eval, whose place the jail can take; leave the task out"
        )
    for kind in ("image", "audio"):
        if config.get(f"doc_to_{kind}") is not None:
            return f"{task.name}: found a task with {kind} input, expected text only; leave the task out"
    if config.get("use_prompt") is not None:
        return f"{task.name}: found a task with prompts of promptsource, expected its own; leave the task out"
    return None


def runs_programs(task: HarnessTask) -> bool:
    """Whether a task runs a model's programs, and only by the metric ``code_eval``, so that the jail can take its place."""
    if not task.config.get("unsafe_code"):
        return False
    files = {function.file for function in functions(task.config) if function.file is not None}
    texts = [file.read_text(encoding="utf-8") for file in sorted(files)]
    return any("code_eval" in text for text in texts) and not any(
        word in text for text in texts for word in _RUNS_BY_ITSELF
    )


def pass_k(config: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the k of pass@k that are measured besides a task's own metrics."""
    metadata = config.get("metadata")
    return tuple(metadata.get(PASS_K, ())) if isinstance(metadata, Mapping) else ()


def describe(selection: Selection, name: str) -> dict[str, Any]:
    """Return the configuration of a task or a group as a run's ``configs/`` keeps it."""
    if name in selection.groups:
        group = selection.groups[name]
        return {"protocol": group.protocol, "tasks": list(group.tasks)}
    task = selection.tasks[name]
    plain: dict[str, Any] = json.loads(json.dumps(task.config, default=str))
    return {"protocol": task.protocol, "file": task.source.name, **plain}


def functions(value: Any) -> Iterator[FunctionName]:
    """Yield the functions that a configuration names."""
    if isinstance(value, FunctionName):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from functions(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from functions(one)


def _metrics(task: HarnessTask) -> Iterator[str]:
    listed, own = task.config.get("metric_list"), task.config.get("class")
    if listed is None and isinstance(own, FunctionName):
        # A task in Python names its metrics where it says how they are combined.
        text = own.file.read_text(encoding="utf-8") if own.file is not None else ""
        for body in re.findall(r"def aggregation\(self.*?(?=\n    def |\nclass |\Z)", text, re.DOTALL):
            yield from _KEY_OF_RESULT.findall(body)
        return
    if listed is None:
        yield from _USUAL_METRICS.get(output_type(task), ())
        return
    for one in listed:
        name = one.get("metric")
        if isinstance(name, FunctionName) and "k" in one and runs_programs(task):
            most = int(task.config.get("repeats") or 1)
            ks = one["k"] if isinstance(one["k"], list) else [one["k"]]
            yield from (f"pass@{k}" for k in ks if k <= most)
            continue
        yield str(name).rpartition(".")[2] if isinstance(name, FunctionName) else str(name)
    yield from (f"pass@{k}" for k in pass_k(task.config))


def _length(task: HarnessTask) -> int:
    options = task.config.get("generation_kwargs") or {}
    return next((int(options[name]) for name in _LENGTHS if options.get(name) is not None), _USUAL_LENGTH)
