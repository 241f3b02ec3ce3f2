"""What is asked of the notes: once as it should be, and once for every fault."""

from __future__ import annotations

from dataclasses import replace

from bench.regression.registry import register_task
from bench.regression.scale import ScoreRange
from bench.regression.task import RegressionTask, TrainingSettings

from .encoder import TINY_ENCODER

NOTES = RegressionTask(
    dataset="notes",
    model="encoder",
    model_args={"encoder": TINY_ENCODER},
    scores=ScoreRange(1, 6),
    label_step=1,
    training=TrainingSettings(num_train_epochs=6, learning_rate=1.5e-3),
)
CONSTANT = replace(NOTES, model="constant", model_args={}, training=TrainingSettings(num_train_epochs=1))
TASKS = {
    "notes": NOTES,
    "gaps": replace(NOTES, dataset="notes_with_gaps"),
    "constant": CONSTANT,
    "constant-control": replace(CONSTANT, expect="baseline_not_beaten"),
    "wrong-control": replace(CONSTANT, expect="training_failed"),
    "diverging": replace(CONSTANT, model_args={"broken": True}),
    "not-a-number": replace(CONSTANT, model_args={"predicted": float("nan")}),
    "unlabelled": replace(NOTES, dataset="unlabelled"),
    "twice": replace(NOTES, dataset="twice"),
    "houseless": replace(NOTES, dataset="houseless"),
    "half-points": replace(CONSTANT, dataset="half_points"),
    "no-dataset": replace(NOTES, dataset="note"),
    "no-model": replace(NOTES, model="encodr"),
    "no-argument": replace(NOTES, model_args={"dropuot": 0.2}),
    "no-encoder": replace(NOTES, model_args={"encoder": "/nowhere"}),
    "unnamed-encoder": replace(NOTES, model_args={}),
}
for name, task in TASKS.items():
    register_task(name)(lambda task=task: task)


@register_task("undefined")
def undefined() -> RegressionTask:
    """A task that cannot be made."""
    return replace(NOTES, label_step=4)
