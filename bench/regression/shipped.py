"""The datasets and tasks that ship: synthetic rubric-scored texts, diabetes rows as text, and a control."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.regression import diabetes
from bench.regression.dataset import ScoredText, ScoredTexts, Split, read_jsonl
from bench.regression.registry import register_dataset, register_task
from bench.regression.scale import ScoreRange
from bench.regression.task import RegressionTask, TrainingSettings

_ROWS = Path(__file__).resolve().parents[2] / "fixtures" / "datasets" / "regression"


@register_dataset("synthetic_rubric")
class SyntheticRubric(ScoredTexts):
    """Short answers, scored from 0 to 10 by a stated rubric that depends on the prompt."""

    label = "synthetic texts that ship with the suite"
    fields = ("prompt",)

    def rows(self, split: Split) -> list[ScoredText]:
        """Return the rows that `make_scored_texts.py` wrote."""
        return read_jsonl(_ROWS / f"synthetic_rubric.{split}.jsonl", fields=self.fields)


@register_dataset("diabetes")
class Diabetes(ScoredTexts):
    """Ten measurements of a patient as text; the score is the progression of the disease after a year."""

    label = "scikit-learn's diabetes rows, rendered as text"
    fields = ("sex",)

    def rows(self, split: Split) -> list[ScoredText]:
        """Return 300 rows to train on, 142 to evaluate on."""
        return [
            ScoredText(key, diabetes.render(values), target, {"sex": f"{values[1]:.0f}"})
            for key, values, target in diabetes.measured(split)
        ]


@register_task("synthetic-rubric")
def synthetic_rubric() -> RegressionTask:
    """Scores of answers by a rubric that the model is not told."""
    return RegressionTask(
        dataset="synthetic_rubric",
        model="encoder",
        scores=ScoreRange(0, 10),
        label_step=1,
        training=TrainingSettings(num_train_epochs=4, learning_rate=1.5e-3),
    )


@register_task("diabetes-text")
def diabetes_text() -> RegressionTask:
    """Progression of a disease from measurements written as text, on its real range."""
    return RegressionTask(
        dataset="diabetes",
        model="encoder",
        scores=ScoreRange(*diabetes.RANGE),
        training=TrainingSettings(num_train_epochs=4, learning_rate=5e-4),
    )


@register_task("control-shuffled-scores")
def shuffled_scores() -> RegressionTask:
    """Texts with each other's scores, learnt by heart: of other texts that says nothing, and predictions are wide off.

    Trained as briefly as the task itself, predictions would stay near the mean, and the control be rejected by a hair.
    """
    training = TrainingSettings(num_train_epochs=14, learning_rate=1e-3)
    return replace(
        diabetes_text(), training=training, shuffle_training_scores=True, expect="baseline_not_beaten"
    )
