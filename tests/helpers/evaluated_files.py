"""Evaluations as training scripts leave them, in the form of version 0.1.0."""

from __future__ import annotations

from typing import Any


def regression_file(**changes: Any) -> dict[str, Any]:
    """Return an evaluation of a regression, without intervals."""
    value = {"value": 2.0, "low": None, "high": None, "n": None, "percent": False, "reason": "no interval"}
    return {
        "schema": "modelgate-evaluation-1", "kind": "regression", "model": "reg", "dataset": "notes", "prefix": "eval",
        "step": 3, "epoch": 1.0, "data": {"hash": None}, "metrics": {"mae": value},
        "score": {**value, "metric": "mae", "stderr": None, "unparsed": None, "required": None}, **changes,
    }  # fmt: skip


def ranking_file(low: float | None, high: float | None, value: float = 0.3) -> dict[str, Any]:
    """Return an evaluation of a ranking with this interval of its gain over a random order."""
    gain = {
        "metric": "mrr@10", "over": "random order", "value": value, "low": low, "high": high, "percent": False,
        "expected": 0.25,
    }  # fmt: skip
    metric = {"value": 0.55, "low": 0.5, "high": 0.6, "n": 40, "percent": False, "reason": None}
    return regression_file(
        kind="reranking", model="slope", dataset="toy", prefix="eval_rerank", gain=gain, metrics={"mrr@10": metric},
        score={**metric, "metric": "mrr@10"}, queries={"total": 40, "scored": 40}, tie_rule="pessimistic",
    )  # fmt: skip
