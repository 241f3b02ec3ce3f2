"""The metrics of SQuAD 2, for tasks that expect them from libraries which do not have them any more.

Source: Rajpurkar, Jia and Liang 2018, Know What You Don't Know; and the evaluation script of the SQuAD website.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.metrics.text.answers import exact_match, f1, normalised

_PERCENT = 100.0


def compute_exact(a_gold: str, a_pred: str) -> int:
    """Return 1 if two answers are the same after normalisation, else 0."""
    return int(exact_match(a_pred, [a_gold]))


def compute_f1(a_gold: str, a_pred: str) -> float:
    """Return the F1 of the words of two answers; where one has no words, whether both have none."""
    return f1(a_pred, [a_gold])


class SquadV2:
    """The metric ``squad_v2`` of the library ``evaluate``, with its default threshold."""

    def compute(
        self, predictions: Sequence[Mapping[str, Any]], references: Sequence[Mapping[str, Any]]
    ) -> dict[str, float]:
        """Return the metrics in percent.

        Args:
            predictions: ``id``, ``prediction_text``, ``no_answer_probability``.
            references: ``id``, and ``answers`` with a list ``text``, which is empty for a question without an answer.
        """
        given = {one["id"]: one for one in predictions}
        rows = [
            (given[one["id"]], [text for text in one["answers"]["text"] if normalised(text)])
            for one in references
        ]
        raw = {
            "exact": [_best(compute_exact, golds, one["prediction_text"]) for one, golds in rows],
            "f1": [_best(compute_f1, golds, one["prediction_text"]) for one, golds in rows],
        }
        has_answer = [bool(one["answers"]["text"]) for one in references]
        doubts = [float(one["no_answer_probability"]) for one, _ in rows]
        # No answer is taken for given where the probability of none is above 1, which it never is.
        found: dict[str, float] = {name: _mean(values) for name, values in raw.items()} | {"total": len(rows)}
        for prefix, wanted in (("HasAns", True), ("NoAns", False)):
            places = [place for place, one in enumerate(has_answer) if one is wanted]
            if places:
                found |= {
                    f"{prefix}_{name}": _mean([values[i] for i in places]) for name, values in raw.items()
                }
                found[f"{prefix}_total"] = len(places)
        texts = [one["prediction_text"] for one, _ in rows]
        for name, values in raw.items():
            best, threshold = _best_threshold(values, doubts, has_answer, texts)
            found |= {f"best_{name}": best, f"best_{name}_thresh": threshold}
        return found


def _best(metric: Any, golds: Sequence[str], text: str) -> float:
    return float(max(metric(gold, text) for gold in golds or [""]))


def _mean(values: Sequence[float]) -> float:
    return _PERCENT * sum(values) / len(values)


def _best_threshold(
    values: Sequence[float], doubts: Sequence[float], has_answer: Sequence[bool], texts: Sequence[str]
) -> tuple[float, float]:
    """Return the best score of all thresholds of doubt above which a question counts as one without an answer."""
    score = best = float(sum(not one for one in has_answer))
    threshold = 0.0
    for place in sorted(range(len(values)), key=lambda i: doubts[i]):
        if has_answer[place]:
            score += values[place]
        elif texts[place]:
            score -= 1
        if score > best:
            best, threshold = score, doubts[place]
    return _PERCENT * best / len(values), threshold
