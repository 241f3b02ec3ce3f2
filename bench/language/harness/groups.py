"""A group of tasks: its score is combined from those of its tasks, as lm-evaluation-harness does."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.core.errors import LanguageProblem
from bench.core.estimate import PERCENT
from bench.core.evaluation import Evaluation, RunContext
from bench.core.gate import gate
from bench.core.record import Score
from bench.core.verdict import PASSED, Outcome, Verdict
from bench.language.case import LanguageCase
from bench.language.evaluation import LanguageResources, score_limit
from bench.language.grading import describe_score
from bench.language.harness.declared import metric_name
from bench.language.harness.progress import wait_for
from bench.language.harness.selection import Aggregate, HarnessGroup
from bench.language.results import write_json


class GroupEvaluation(Evaluation[LanguageCase]):
    """Combines the scores of a group's tasks once all of them have theirs; asks nothing.

    Args:
        case: of the group.
        context: of the run.
        resources: of the process.
    """

    def __init__(self, case: LanguageCase, context: RunContext, resources: LanguageResources) -> None:
        super().__init__(case, context)
        harness = resources.settings.harness
        assert harness is not None, "a group of lm-evaluation-harness comes from its options"
        self._settings, self._harness = resources.settings, harness
        self._group: HarnessGroup = harness.selection.groups[case.dataset]
        self.record.body.protocol = self._group.protocol

    @property
    def evaluates(self) -> bool:
        """Whether this run scores predictions, and does not only make them."""
        return self._settings.mode != "infer"

    def infer(self) -> int:
        """Ask nothing."""
        if not self.evaluates:
            self.settle(Verdict("pass", "passed", "its tasks are asked; not evaluated"))
        return 0

    def run(self) -> Outcome:
        """Combine the scores."""
        self.infer()
        return self.evaluate() if self.evaluates else Outcome({"inference": PASSED})

    def evaluate(self) -> Outcome:
        """Combine the scores of the tasks.

        Raises:
            LanguageProblem: tasks without a score.
        """
        with self.recording():
            case, record = self.case, self.record
            results = self._results()
            metrics = combined(self._group, results)
            if not metrics:
                names = ", ".join(one.metric for one in self._group.aggregates)
                raise LanguageProblem(
                    "predictions_missing",
                    f"group {self._group.name}: found no metric {names} in its tasks, expected it; correct the group's "
                    "aggregate_metric_list",
                )
            first = next(iter(metrics.values()))
            record.score = msgspec.structs.replace(first, required=case.min_score)
            record.metrics = dict(metrics)
            record.data = self._harness.label
            path = self.context.directory / "results" / case.model / f"{case.stem}.json"
            write_json(
                path,
                {
                    "model": case.model, "dataset": case.dataset, "protocol": self._group.protocol,
                    "tasks": list(self._group.tasks), "metrics": metrics,
                },
            )  # fmt: skip
            record.files = {"results": path.relative_to(self.context.directory).as_posix()}
            score = gate(first, score_limit(first, case.min_score), shown=describe_score(first))
            return self.conclude({"score": score, "reference": PASSED}, record.metrics)

    def _results(self) -> dict[str, dict[str, Any]]:
        """Return the results of all tasks, in the form of lm-evaluation-harness."""
        missing = wait_for(self.context.scratch, self.case.model, self.case.members)
        folder = self.context.directory / "results" / self.case.model
        found = {name: _read(folder / f"{name}.json") for name in self._group.tasks}
        without = [name for name, result in found.items() if result is None]
        if missing or without:
            names = without or missing
            shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            raise LanguageProblem(
                "predictions_missing",
                f"group {self._group.name}: found scores of {len(found) - len(names)} of {len(found)} tasks, expected those "
                f"of all; see why there is none of {shown}, or run them too",
            )
        return {name: result for name, result in found.items() if result is not None}


def combined(group: HarnessGroup, results: dict[str, dict[str, Any]]) -> dict[str, Score]:
    """Return the metrics of a group.

    The standard error is the one of lm-evaluation-harness: pooled over documents where tasks are weighted by their number,
    else that of the mean of independent tasks. It is 0 where all answers of each task are right, or all are wrong. So the
    interval comes from those of the tasks.

    Args:
        group: says what is combined.
        results: of its tasks, in the form of lm-evaluation-harness.
    """
    metrics: dict[str, Score] = {}
    for aggregate in group.aggregates:
        for filtered in aggregate.filters or _filters(aggregate, results):
            score = _score(aggregate, filtered, results)
            if score is not None:
                metrics[metric_name(aggregate.metric, filtered)] = score
    return metrics


def _score(aggregate: Aggregate, filtered: str, results: dict[str, dict[str, Any]]) -> Score | None:
    key, stderr_key = f"{aggregate.metric},{filtered}", f"{aggregate.metric}_stderr,{filtered}"
    having = [result for result in results.values() if result.get(key) is not None]
    if not having:
        return None
    sizes = [int(result["sample_len"]) for result in having]
    weights = sizes if aggregate.weighted else [1] * len(having)
    value = sum(result[key] * weight for result, weight in zip(having, weights, strict=True)) / sum(weights)
    stderrs = [result.get(stderr_key) for result in having]
    stderr = low = high = None
    known = [one for one in stderrs if one is not None]
    if len(known) == len(having) and sum(sizes) > len(sizes):
        stderr = _pooled(known, sizes) if aggregate.weighted else _of_mean(known)
    intervals = [result.get("intervals", {}).get(key) for result in having]
    if None not in intervals:
        low, high = _interval([result[key] for result in having], intervals, weights)
    is_share = all(result.get("is_share", {}).get(key, False) for result in having)
    if is_share and low is not None and high is not None:
        low, high = max(low, 0.0), min(high, 1.0)
    better = all(result.get("higher_is_better", {}).get(key, True) for result in having)
    score = Score(
        metric=metric_name(aggregate.metric, filtered), value=value, low=low, high=high, n=sum(sizes), stderr=stderr,
        higher_is_better=better, confidence=0.95,
    )  # fmt: skip
    scaled = score.scaled(100, PERCENT) if is_share else score
    assert isinstance(scaled, Score)
    return scaled


def _interval(
    values: list[float], intervals: list[list[float]], weights: Sequence[int]
) -> tuple[float, float]:
    """Return the interval of a weighted mean of independent values, from the interval of each.

    Source: Zou and Donner 2008, "Construction of confidence limits about effect measures: a general approach", Statistics
    in Medicine 27:1693.
    """
    shares = [weight / sum(weights) for weight in weights]
    mean = sum(share * value for share, value in zip(shares, values, strict=True))
    below, above = (
        math.sqrt(
            sum(
                (share * (value - ends[end])) ** 2
                for share, value, ends in zip(shares, values, intervals, strict=True)
            )
        )
        for end in (0, 1)
    )
    return mean - below, mean + above


def _pooled(stderrs: list[float], sizes: list[int]) -> float:
    """Return the standard error of a mean over all documents, from those of the tasks' means (pooled variance)."""
    variance = sum((n - 1) * stderr**2 * n for stderr, n in zip(stderrs, sizes, strict=True))
    return math.sqrt(variance / (sum(sizes) - len(sizes)) / sum(sizes))


def _of_mean(stderrs: list[float]) -> float:
    return math.sqrt(sum(stderr**2 for stderr in stderrs)) / len(stderrs)


def _filters(aggregate: Aggregate, results: dict[str, dict[str, Any]]) -> list[str]:
    begin = f"{aggregate.metric},"
    return sorted(
        {key[len(begin) :] for result in results.values() for key in result if key.startswith(begin)}
    )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["lm_eval"]["results"]
    except (OSError, ValueError, KeyError):
        return None
    return found
