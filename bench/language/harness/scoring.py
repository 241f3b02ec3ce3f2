"""From answers to scores: filters, metrics and aggregation are lm-evaluation-harness's own."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.core.errors import LanguageProblem
from bench.core.estimate import PERCENT, Estimate
from bench.core.raised import told_in_one_line
from bench.core.record import Score
from bench.language.grading import Graded
from bench.language.harness.declared import metric_name, pass_k
from bench.language.harness.stand_ins import NO_PUNKT
from bench.language.harness.tasks import Document
from bench.language.harness.watching import watched
from bench.language.programs import grading
from bench.language.repeats import pass_at_k
from bench.statistics.bootstrap import RESAMPLES, interval_ends, resampled_indices
from bench.statistics.proportion import wilson_interval

# What the regular-expression filters of the harness return where they find nothing.
_UNREAD = "[invalid]"
# Corpus metrics that take long for each resample, and how many then do.
_SLOW = ("bleu", "chrf", "ter", "rouge", "f1", "matthews", "_fi", "agg")
_FEW_RESAMPLES = 200
_SOME_RESAMPLES = 1000
_CONFIDENCE = 0.95
# Aggregations with values from 0 to 1 whose samples are no numbers.
_SHARES = ("f1_score", "acc_all")


@dataclass(frozen=True)
class FilteredMetric:
    """One metric after one filter.

    Attributes:
        metric, filtered: names in lm-evaluation-harness.
        items: what each document contributes.
        combine: returns the score of items.
        higher_is_better: what "better" means.
        unread: documents of which the filter could read no answer.
    """

    metric: str
    filtered: str
    items: list[Any]
    combine: Callable[[Sequence[Any]], Any]
    higher_is_better: bool
    unread: int

    @property
    def name(self) -> str:
        """Its name in tables and requirements."""
        return metric_name(self.metric, self.filtered)

    @property
    def is_share(self) -> bool:
        """Whether it goes from 0 to 1, so that a table shows it as a percentage."""
        if _name(self.combine) in _SHARES:
            return True
        return _name(self.combine) in ("mean", "nanmean") and all(
            _is_number(item) and 0 <= item <= 1 for item in self.items
        )


def measure(
    made: Any,
    documents: Sequence[Document],
    answers: Mapping[str, list[list[Any]]],
    executions: dict[str, list[dict[str, str]]] | None = None,
) -> list[FilteredMetric]:
    """Return all metrics of a task after all of its filters, in the order of lm-evaluation-harness.

    Args:
        made: the task's object.
        documents: all that are scored.
        answers: by document, for each request a list of answers.
        executions: takes, by document, what became of the programs that were run.

    Raises:
        LanguageProblem: answers that are missing, or that the task's own code cannot score.
    """
    missing = [document.key for document in documents if document.key not in answers]
    if missing or not documents:
        raise LanguageProblem(
            "predictions_missing",
            f"found predictions for {len(documents) - len(missing)} of {len(documents)} documents"
            + (f", the first one missing is {missing[0]}" if missing else "")
            + "; run --mode infer, or --mode all with --reuse",
        )
    requests = [request for document in documents for request in document.requests]
    for document in documents:
        for request, given in zip(document.requests, answers[document.key], strict=True):
            request.resps = [_answer(made, request, one) for one in given]
            request.filtered_resps = {}
    made._instances = requests
    try:
        made.apply_filters()
        with watched(made, scores=True):
            found = _results(made, documents, {} if executions is None else executions)
    except LanguageProblem:
        raise
    except LookupError as error:
        if "punkt" not in f"{error}":
            raise _unscored(made, error) from error
        raise LanguageProblem("data_failed", f"{made.config.task}: {NO_PUNKT}") from error
    except Exception as error:
        raise _unscored(made, error) from error
    return found


def _unscored(made: Any, error: Exception) -> LanguageProblem:
    return LanguageProblem(
        "inference_failed",
        f"{made.config.task}: found answers that the task's own filters or metrics cannot score "
        f"({told_in_one_line(error, 300)}); see predictions/, or correct the task",
    )


def estimate(measured: FilteredMetric, seed: int, cut: int | None = None) -> Graded:
    """Return the score with its standard error and interval, and the values it was computed from.

    The interval of a share of right answers is Wilson's, every other one a bootstrap over documents.

    Raises:
        LanguageProblem: a score that is no number.
    """
    with warnings.catch_warnings():  # a resample may lack a class that a metric knows
        warnings.simplefilter("ignore")
        return _estimated(measured, seed, cut)


def _estimated(measured: FilteredMetric, seed: int, cut: int | None) -> Graded:
    items, n = measured.items, len(measured.items)
    value = _number(measured.combine(items), measured)
    stderr = low = high = None
    plain = all(map(_is_number, items)) and _name(measured.combine) in ("mean", "nanmean")
    if n > 1 and plain:
        stderr = float(np.std(np.asarray(items, dtype=float), ddof=1)) / math.sqrt(n)
    if plain and all(item in (0, 1) for item in items):
        low, high = wilson_interval(int(sum(items)), n, confidence=_CONFIDENCE)
    elif n > 1:
        draws = _draws(measured, items, seed)
        if draws is not None:
            low, high = interval_ends(draws, n, (1 - _CONFIDENCE) / 2, interpolated=True)
            stderr = float(draws.std(ddof=1)) if stderr is None else stderr
    score = Score(
        metric=measured.name, value=value, low=low, high=high, n=n, stderr=stderr, confidence=_CONFIDENCE,
        higher_is_better=measured.higher_is_better, unparsed=measured.unread, cut=cut,
    )  # fmt: skip
    return Graded(in_table(score, measured.is_share), [_plain(item) for item in items])


def compare(own: FilteredMetric, other: FilteredMetric, seed: int) -> Estimate:
    """Return how much better a metric is than another run's on the same documents, by a paired bootstrap.

    Raises:
        LanguageProblem: metrics of different numbers of documents.
    """
    n = len(own.items)
    if n != len(other.items):
        raise LanguageProblem(
            "predictions_missing",
            f"comparison with the reference run: found {n} and {len(other.items)} values of {own.name}, expected those of "
            "the same documents; name another run",
        )
    if n < 2:
        return Estimate(metric="difference", n=n, reason="one sample says nothing of the scatter")
    sign = 1.0 if own.higher_is_better else -1.0

    def gain(chosen: Sequence[int]) -> float:
        first = _number(own.combine([own.items[i] for i in chosen]), own)
        second = _number(other.combine([other.items[i] for i in chosen]), other)
        return sign * (first - second)

    draws = np.array(
        [gain(row) for block in resampled_indices(n, _resamples(own), seed) for row in block.tolist()]
    )
    low, high = interval_ends(draws, n, 1 - _CONFIDENCE, interpolated=True)
    found = Estimate(
        metric="difference", value=gain(range(n)), low=low, high=high, n=n, confidence=_CONFIDENCE
    )
    shown: Estimate = in_table(found, own.is_share)
    return shown


def block(measured: Sequence[FilteredMetric], graded: Mapping[str, Graded], alias: str) -> dict[str, Any]:
    """Return the results of a task in the keys and units of lm-evaluation-harness."""
    found: dict[str, Any] = {
        "alias": alias,
        "sample_len": max(len(one.items) for one in measured),
        "higher_is_better": {f"{one.metric},{one.filtered}": one.higher_is_better for one in measured},
        "is_share": {f"{one.metric},{one.filtered}": one.is_share for one in measured},
    }
    for one in measured:
        score = graded[one.name].score
        scale = 100.0 if score.percent else 1.0
        found[f"{one.metric},{one.filtered}"] = None if score.value is None else score.value / scale
        if score.low is not None and score.high is not None:
            found.setdefault("intervals", {})[f"{one.metric},{one.filtered}"] = [
                score.low / scale, score.high / scale,
            ]  # fmt: skip
        found[f"{one.metric}_stderr,{one.filtered}"] = None if score.stderr is None else score.stderr / scale
    return found


def in_table(found: Any, is_share: bool) -> Any:
    """Return an estimate in the unit of the table: percentages of shares."""
    return found.scaled(100, PERCENT) if is_share else found


def _results(
    made: Any, documents: Sequence[Document], executions: dict[str, list[dict[str, str]]]
) -> list[FilteredMetric]:
    collected: dict[tuple[str, str], list[Any]] = {}
    unread: dict[str, int] = {}
    for filtered in documents[0].requests[0].filtered_resps:
        for document in documents:
            results = [request.filtered_resps[filtered] for request in document.requests]
            unread[filtered] = unread.get(filtered, 0) + any(
                one == _UNREAD or (isinstance(one, list) and _UNREAD in one) for one in results
            )
            with grading(document.requests[0].doc) as question:
                values = dict(made.process_results(document.requests[0].doc, results))
            if question.executions:
                done = question.executions
                executions[document.key] = [{"outcome": one.outcome, "detail": one.detail} for one in done]
                right = sum(one.passed for one in done)
                values |= {
                    f"pass@{k}": pass_at_k(right, len(done), k)
                    for k in pass_k({"metadata": made.get_config("metadata")})
                }
            for metric, value in values.items():
                collected.setdefault((metric, filtered), []).append(value)
    from lm_eval.api.metrics import mean  # noqa: PLC0415

    combine, better = made.aggregation(), made.higher_is_better()
    return [
        FilteredMetric(
            metric,
            filtered,
            items,
            combine.get(metric, mean),
            bool(better.get(metric, True)),
            unread[filtered],
        )
        for (metric, filtered), items in collected.items()
    ]


def _answer(made: Any, request: Any, given: Any) -> Any:
    """Return an answer in the form that the task expects.

    Raises:
        LanguageProblem: a server that does not say whether a continuation is the most likely one, where that decides.
    """
    if request.request_type != "loglikelihood":
        return given
    value, is_greedy = given
    decides = made.OUTPUT_TYPE == "loglikelihood" or "exact_match" in getattr(made, "_metric_fn_list", {})
    if is_greedy is None and decides:
        raise LanguageProblem(
            "inference_failed",
            f"{made.config.task}: found a server that gives no most likely tokens, expected them: the task asks whether a "
            "continuation is the most likely one; use a server with `logprobs`, or a local model",
        )
    return float(value), bool(is_greedy)


def _draws(measured: FilteredMetric, items: Sequence[Any], seed: int) -> Any:
    """Return the score of resamples; None for a score that does not exist for all of them."""
    found: list[float] = []
    if _name(measured.combine) == "mean" and all(map(_is_number, items)):
        values = np.asarray(items, dtype=float)
        for index in resampled_indices(len(items), RESAMPLES, seed):
            found += values[index].mean(axis=1).tolist()
        return np.array(found)
    for index in resampled_indices(len(items), _resamples(measured), seed):
        for row in index.tolist():
            try:
                found.append(float(measured.combine([items[i] for i in row])))
            except (ValueError, ZeroDivisionError, TypeError):
                return None
    draws = np.array(found)
    return draws if np.isfinite(draws).all() else None


def _resamples(measured: FilteredMetric) -> int:
    return _FEW_RESAMPLES if any(word in _name(measured.combine) for word in _SLOW) else _SOME_RESAMPLES


def _number(value: Any, measured: FilteredMetric) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise LanguageProblem(
            "inference_failed",
            f"metric {measured.name}: found {value!r:.100}, expected a finite number; see predictions/ for the answers",
        )
    return found


def _is_number(item: Any) -> bool:
    return isinstance(item, int | float | bool | np.number) and math.isfinite(item)


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", ""))


def _plain(item: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(item, np.ndarray):
        return item.tolist()
    if isinstance(item, np.generic):
        return item.item()
    if isinstance(item, Mapping):
        return {str(key): _plain(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [_plain(one) for one in item]
    return item if isinstance(item, str | int | float | bool | type(None)) else repr(item)
