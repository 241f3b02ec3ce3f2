"""From predictions to scores: what was predicted, by which rule, and what the whole dataset is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.core.errors import LanguageProblem
from bench.language.postprocess import apply_postprocessors
from bench.language.predictions import Prediction
from bench.language.prompting import Question
from bench.language.scores import Comparison, Score, evaluate, not_worse
from bench.language.spec import Dataset, Generation, LogLikelihood, Perplexity, Rolling
from bench.metrics.text import METRICS, GroupMetric

# Metrics that are the accuracy of another rule than the dataset's own.
_RULES = {"acc_norm": "char", "acc_bytes": "byte", "acc_sum": "sum", "acc_unconditional": "unconditional"}


@dataclass(frozen=True)
class Scored:
    """A metric's score with the values that it was computed from.

    Attributes:
        score: of the dataset.
        values: one per sample, as :func:`bench.language.scores.summarise` takes them.
        percent: whether a table shows it times 100.
        higher_is_better: what "better" means.
    """

    score: Score
    values: list[Any]
    percent: bool
    higher_is_better: bool

    @property
    def scale(self) -> float:
        """What a table multiplies by."""
        return 100.0 if self.percent else 1.0

    def to_record(self, required: float | None = None) -> dict[str, Any]:
        """Return the score as a table shows it, percentages from 0 to 100."""
        score, scale = self.score, self.scale

        def scaled(value: float | None) -> float | None:
            return None if value is None else float(value * scale)

        return {
            "metric": score.metric,
            "value": scaled(score.value),
            "low": scaled(score.low),
            "high": scaled(score.high),
            "stderr": scaled(score.stderr),
            "n": score.n,
            "unparsed": score.unparsed,
            "percent": self.percent,
            "higher_is_better": self.higher_is_better,
            "required": required,
        }


def choose(dataset: Dataset, prediction: Prediction, rule: str | None = None) -> int:
    """Return the index of the choice that a rule prefers; the first of equals.

    Args:
        dataset: its inference says what the predictions hold.
        prediction: of a question with choices.
        rule: ``sum``, ``char``, ``byte``, ``unconditional``; the dataset's own where None.

    Raises:
        LanguageProblem: when the prediction does not hold what the rule needs.
    """
    how, values = dataset.inference, prediction["loglikelihoods"]
    if isinstance(how, Perplexity) and rule is None:
        perplexities = prediction["perplexity"]
        return perplexities.index(min(perplexities))
    rule = rule or (how.rule if isinstance(how, LogLikelihood) else "sum")
    if rule == "char":
        values = [
            value / max(len(text), 1) for value, text in zip(values, prediction["choices"], strict=True)
        ]
    elif rule == "byte":
        values = [
            value / max(len(text.encode()), 1)
            for value, text in zip(values, prediction["choices"], strict=True)
        ]
    elif rule == "unconditional":
        if "unconditional" not in prediction:
            raise LanguageProblem(
                "predictions_missing",
                "the score acc_unconditional needs predictions with unconditional log-likelihoods, found none; "
                'declare LogLikelihood(rule="unconditional")',
            )
        values = [value - alone for value, alone in zip(values, prediction["unconditional"], strict=True)]
    return values.index(max(values))


def answer(dataset: Dataset, question: Question, prediction: Prediction, metric: str) -> Any:
    """Return what was predicted, None for what could not be read."""
    if isinstance(dataset.inference, Generation):
        return apply_postprocessors(dataset.postprocess, prediction["text"], question.fields)
    if isinstance(dataset.inference, Rolling):
        return prediction["loglikelihood"]
    return choose(dataset, prediction, _RULES.get(metric))


def score(
    dataset: Dataset, questions: Sequence[Question], predictions: dict[str, Prediction], seed: int = 0
) -> dict[str, Scored]:
    """Return the score of each of the dataset's metrics, the first one first.

    Raises:
        LanguageProblem: when predictions are missing, or a metric cannot score them.
    """
    missing = [question.key for question in questions if question.key not in predictions]
    if missing:
        raise LanguageProblem(
            "predictions_missing",
            f"found predictions for {len(questions) - len(missing)} of {len(questions)} questions, the first one missing "
            f"is {missing[0]}; run --mode infer, or --mode all with --reuse",
        )
    scores = {}
    for name in dataset.metrics:
        metric = "accuracy" if name in _RULES else name
        answers = [answer(dataset, question, predictions[question.key], name) for question in questions]
        golds = [list(question.golds) for question in questions]
        grouped = isinstance(METRICS[metric], GroupMetric)
        try:
            values, found = evaluate(
                metric, answers, golds, groups=[q.index for q in questions] if grouped else None, seed=seed
            )
        except ValueError as error:
            raise LanguageProblem("inference_failed", f"metric {name}: {error}") from error
        how = METRICS[metric]
        renamed = Score(name, *[getattr(found, field) for field in list(Score.__dataclass_fields__)[1:]])
        scores[name] = Scored(renamed, values, how.percent, how.higher_is_better)
    return scores


def compare(scored: Scored, reference: Scored, margin: float, seed: int = 0) -> Comparison:
    """Compare a score with a reference run's on the same questions.

    Args:
        scored, reference: scores of the same metric.
        margin: how much worse is still good enough, as a table shows it: 1.0 is one percentage point.

    Raises:
        LanguageProblem: when the two are not of the same questions.
    """
    name = "accuracy" if scored.score.metric in _RULES else scored.score.metric
    try:
        return not_worse(METRICS[name], scored.values, reference.values, margin / scored.scale, seed=seed)
    except ValueError as error:
        raise LanguageProblem("predictions_missing", f"comparison with the reference run: {error}") from error
