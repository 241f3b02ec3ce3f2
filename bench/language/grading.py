"""From predictions to scores: what was predicted, by which rule, and the score of the whole dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec

from bench.core.errors import LanguageProblem
from bench.core.estimate import PERCENT, Estimate
from bench.core.record import Score
from bench.language import extraction  # noqa: F401  it registers the post-processors of published protocols
from bench.language.postprocess import POSTPROCESSORS, apply_postprocessors, normal_gold
from bench.language.predictions import StoredPrediction
from bench.language.prompting import Question
from bench.language.repeats import evaluate_repeated, repeated_names
from bench.language.scores import Values, difference, evaluate
from bench.language.spec import (
    Cloze,
    Dataset,
    Generation,
    LogLikelihood,
    PartialLogLikelihood,
    Perplexity,
    Rolling,
)
from bench.metrics.text import TEXT_METRICS, Answer, CorpusMetric, GroupMetric, SampleMetric, TextMetric

# Metrics that are the accuracy by another rule than the dataset's own.
_RULES = {"acc_norm": "char", "acc_bytes": "byte", "acc_sum": "sum", "acc_unconditional": "unconditional"}

E = TypeVar("E", bound=Estimate)


@dataclass(frozen=True)
class Graded:
    """A metric of a dataset.

    Attributes:
        score: as a table shows it, percentages from 0 to 100.
        values: that it was computed from, one per sample or question.
        measure: the registered metric that it is; None for one that lm-evaluation-harness computes.
    """

    score: Score
    values: Values
    measure: TextMetric | None = None


def check_names(dataset: Dataset) -> None:
    """Refuse a dataset with a metric or a post-processor that nobody registered, before anything is asked.

    Raises:
        LanguageProblem: with the nearest names.
    """
    for name in dataset.metrics:
        measure = dataset.readings[name].metric if name in dataset.readings else name
        if measure not in _RULES and measure not in TEXT_METRICS:
            raise LanguageProblem("task_invalid", TEXT_METRICS.unknown(measure))
    chains = [dataset.postprocess, *(reading.postprocess for reading in dataset.readings.values())]
    for name in (name for chain in chains for name in chain):
        if name not in POSTPROCESSORS:
            raise LanguageProblem("task_invalid", POSTPROCESSORS.unknown(name))


def choose(dataset: Dataset, prediction: StoredPrediction, rule: str | None = None) -> int:
    """Return the index of the choice that a rule prefers; the first of equal ones.

    Args:
        dataset: its inference says what the predictions hold.
        prediction: of a question with choices.
        rule: ``sum``, ``char``, ``byte``, ``unconditional``; None is the dataset's own.

    Raises:
        LanguageProblem: a prediction without what the rule needs.
    """
    inference, values = dataset.inference, prediction["loglikelihoods"]
    if isinstance(inference, Perplexity) and rule is None:
        perplexities = prediction["perplexity"]
        return perplexities.index(min(perplexities))
    rule = rule or (inference.rule if isinstance(inference, LogLikelihood) else "sum")
    if isinstance(inference, PartialLogLikelihood):
        rule = "sum"  # one ending is scored after all choices: their lengths say nothing
    if rule == "char":
        lengths = [len(text) for text in prediction["choices"]]
        values = [value / max(length, 1) for value, length in zip(values, lengths, strict=True)]
    elif rule == "byte":
        lengths = [len(text.encode()) for text in prediction["choices"]]
        values = [value / max(length, 1) for value, length in zip(values, lengths, strict=True)]
    elif rule == "unconditional":
        if "unconditional" not in prediction:
            raise LanguageProblem(
                "predictions_missing",
                "found predictions without unconditional log-likelihoods, expected them for the metric acc_unconditional; "
                'declare LogLikelihood(rule="unconditional")',
            )
        values = [value - alone for value, alone in zip(values, prediction["unconditional"], strict=True)]
    return values.index(max(values))


def answer(dataset: Dataset, question: Question, prediction: StoredPrediction, metric: str) -> Answer:
    """Return what was predicted; None for a text without an answer.

    A thought that did not end has no answer. Of a text that was cut at its limit, only an answer counts that was finished.
    """
    if isinstance(dataset.inference, Generation):
        if prediction.get("unclosed"):
            return None
        cut = bool(prediction.get("cut"))
        return apply_postprocessors(_chain(dataset, metric), prediction["text"], question.fields, cut)
    if isinstance(dataset.inference, Rolling):
        return prediction["loglikelihood"]
    if isinstance(dataset.inference, Cloze):
        return _cloze_answer(question, prediction, metric)
    return choose(dataset, prediction, _RULES.get(metric))


def _cloze_answer(question: Question, prediction: StoredPrediction, metric: str) -> Answer:
    """Return the log-likelihood of the right answer for a metric of sums, else the answer if the model would write it."""
    if isinstance(_metric(metric), CorpusMetric):
        return prediction["loglikelihoods"][0]
    greedy = prediction["is_greedy"][0]
    if greedy is None:
        raise LanguageProblem(
            "inference_failed",
            f"question {question.key}: found no word on whether the right answer is what the model would write, which "
            f"{metric} needs; ask a local model, or a server that returns its most likely tokens",
        )
    # Which other text the model would write was not asked for.
    return str(question.golds[0]) if greedy else ""


def grade(
    dataset: Dataset, questions: Sequence[Question], predictions: Mapping[str, StoredPrediction], seed: int = 0,
    names: Sequence[str] | None = None,
) -> dict[str, Graded]:  # fmt: skip
    """Return each of the dataset's metrics, the first one first.

    Args:
        dataset: says which metrics.
        questions: that are scored together.
        predictions: by question.
        seed: of the bootstrap.
        names: of the dataset's metrics; None takes all.

    Raises:
        LanguageProblem: predictions that are missing, or that a metric cannot score.
    """
    missing = [question.key for question in questions if question.key not in predictions]
    if missing:
        raise LanguageProblem(
            "predictions_missing",
            f"found predictions for {len(questions) - len(missing)} of {len(questions)} questions, the first one missing "
            f"is {missing[0]}; run --mode infer, or --mode all with --reuse",
        )
    repeats = 1 + max(question.sample for question in questions) if questions else 1
    cut = None
    if isinstance(dataset.inference, Generation):
        cut = sum(bool(predictions[question.key].get("cut")) for question in questions)
    metrics = {}
    for name in dataset.metrics if names is None else names:
        metric = _metric(dataset.readings[name].metric if name in dataset.readings else name)
        answers = [answer(dataset, question, predictions[question.key], name) for question in questions]
        golds = [_golds(dataset, question, name) for question in questions]
        groups = [question.index for question in questions] if isinstance(metric, GroupMetric) else None
        try:
            if repeats > 1:
                named = evaluate_repeated(
                    metric, [answers[i : i + repeats] for i in range(0, len(answers), repeats)], golds[::repeats],
                    groups[::repeats] if groups else None, with_draws=name == dataset.metrics[0], seed=seed,
                )  # fmt: skip
                named = {name if key == metric.name else key: scored for key, scored in named.items()}
            else:
                named = {name: evaluate(metric.name, answers, golds, groups=groups, seed=seed)}
        except ValueError as error:
            raise LanguageProblem("inference_failed", f"metric {name}: {error}") from error
        for key, (values, found) in named.items():
            score = _in_table(msgspec.structs.replace(found, metric=key, cut=cut), metric)
            metrics[key] = Graded(score, values, metric)
    return metrics


def grade_groups(
    dataset: Dataset, questions: Sequence[Question], predictions: Mapping[str, StoredPrediction], seed: int = 0
) -> dict[str, Score] | None:  # fmt: skip
    """Return the first metric of each part of a dataset, by name; None for a dataset that declares no parts.

    Raises:
        LanguageProblem: a row without the field that names its part, or what `grade` raises.
    """
    if dataset.group is None or not dataset.metrics:
        return None
    parts = parts_of_dataset(dataset, questions)
    first = dataset.metrics[:1]
    return {
        name: grade(dataset, parts[name], predictions, seed, first)[first[0]].score for name in sorted(parts)
    }


def parts_of_dataset(dataset: Dataset, questions: Sequence[Question]) -> dict[str, list[Question]]:
    """Return the questions of each part of a dataset, by name; none for a dataset that declares no parts.

    Raises:
        LanguageProblem: a row without the field that names its part.
    """
    if dataset.group is None:
        return {}
    parts: dict[str, list[Question]] = {}
    for question in questions:
        if dataset.group not in question.fields:
            raise LanguageProblem(
                "data_failed",
                f"row {question.index}: found the fields {', '.join(question.fields)}, expected {dataset.group}, the group "
                "of the row; add it in prepare()",
            )
        parts.setdefault(str(question.fields[dataset.group]), []).append(question)
    return parts


def metric_names(dataset: Dataset, repeats: int = 1) -> tuple[str, ...]:
    """Return the names of the metrics of a dataset: of a generation with repeats, pass@k and maj@k too."""
    if not isinstance(dataset.inference, Generation):
        return dataset.metrics
    if not dataset.metrics:
        return ()
    first, *others = dataset.metrics
    return (first, *repeated_names(first, repeats), *others)


def _golds(dataset: Dataset, question: Question, metric: str) -> list[Any]:
    """Return the right answers of a question, in the form in which a metric reads answers."""
    counted = dataset.inference.counted if isinstance(dataset.inference, Rolling) else None
    if counted is not None:
        return [str(question.fields[counted])]
    if not isinstance(dataset.inference, Generation):
        return list(question.golds)
    return [normal_gold(_chain(dataset, metric), str(gold)) for gold in question.golds]


def _chain(dataset: Dataset, metric: str) -> tuple[str, ...]:
    """Return the post-processors by which a metric reads a generated text."""
    reading = dataset.readings.get(metric)
    return dataset.postprocess if reading is None else reading.postprocess


def compare(graded: Graded, reference: Graded, seed: int = 0) -> Estimate:
    """Return how much better a metric is than an earlier run's on the same questions, in the unit of the table.

    Args:
        graded, reference: the same metric of both runs.
        seed: of the bootstrap.

    Raises:
        LanguageProblem: metrics of different questions.
    """
    metric = _metric_of(graded)
    if len(graded.values) < 2:
        return Estimate(
            metric="difference", n=len(graded.values), reason="one sample says nothing of the scatter"
        )
    try:
        found = difference(metric, graded.values, reference.values, seed=seed)
    except ValueError as error:
        raise LanguageProblem("predictions_missing", f"comparison with the reference run: {error}") from error
    return _in_table(found, metric)


def describe_score(score: Score) -> str:
    """Return metric, value, interval and number of samples, and how many answers could not be read."""
    interval = f" [{score.low:.4g}, {score.high:.4g}]" if score.has_interval else ""
    counted = "".join(f", {n} {what}" for n, what in ((score.unparsed, "unparsed"), (score.cut, "cut")) if n)
    return f"{score.metric} {score.value:.4g}{interval} of {score.n}{counted}"


def _metric_of(graded: Graded) -> TextMetric:
    """Return the metric of values that may be means over repeats, or chances, and not only 0 and 1."""
    metric = graded.measure
    assert metric is not None, "tasks of lm-evaluation-harness compare in a way of their own"
    if isinstance(metric, SampleMetric) and not set(map(str, graded.values)) <= {"0", "1", "0.0", "1.0"}:
        return replace(metric, proportion=False)
    return metric


def _metric(name: str) -> TextMetric:
    return TEXT_METRICS["accuracy" if name in _RULES else name]


def _in_table(estimate: E, metric: TextMetric) -> E:
    """Return an estimate in the unit of the table: percentages of shares."""
    if not metric.percent:
        return estimate
    scaled = estimate.scaled(100, PERCENT)
    assert isinstance(scaled, type(estimate))
    return scaled
