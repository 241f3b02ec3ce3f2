"""Early stopping where a Trainer evaluates several sets one after the other. Needs transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.machine.torchvision_shim import ensure_torchvision

ensure_torchvision()

from transformers import EarlyStoppingCallback  # noqa: E402


def stop_early_by_its_metric(trainer: Any) -> None:
    """Let early stopping see only the evaluations that report its metric.

    After each of the others it would log that it did not find the metric and is disabled, which is not so. A metric that no
    evaluation reports is refused by the Trainer itself when it looks for the best model.
    """
    handler = trainer.callback_handler
    told = handler.on_evaluate

    def on_evaluate(args: Any, state: Any, control: Any, metrics: Mapping[str, Any]) -> Any:
        asked = args.metric_for_best_model
        wanted = asked if asked is None or asked.startswith("eval_") else f"eval_{asked}"
        every = handler.callbacks
        if wanted is not None and wanted not in metrics:
            handler.callbacks = [one for one in every if not isinstance(one, EarlyStoppingCallback)]
        try:
            return told(args, state, control, metrics)
        finally:
            handler.callbacks = every

    handler.on_evaluate = on_evaluate
