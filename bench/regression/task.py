"""What a regression task declares. Importing this module imports no framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bench.core.errors import REASON_CODES
from bench.core.registry import no_such
from bench.regression.scale import ScoreRange

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How a model is trained; names and meanings are those of `transformers.TrainingArguments`.

    Attributes:
        max_length: tokens of a text at most.
        seed: of initial weights, order and dropout; None is the run's seed.
    """

    num_train_epochs: float = 3.0
    per_device_train_batch_size: int = 16
    per_device_eval_batch_size: int = 64
    learning_rate: float = 5e-4
    weight_decay: float = 0.0
    warmup_steps: float = 0.1  # under 1 a share of all steps
    lr_scheduler_type: str = "linear"
    max_length: int = 128
    seed: int | None = None

    def to_arguments(self) -> dict[str, float | str]:
        """Return what `TrainingArguments` takes."""
        return {name: value for name, value in asdict(self).items() if name not in ("max_length", "seed")}


@dataclass(frozen=True)
class RegressionTask:
    """A dataset, a model, and how the model is trained on the dataset.

    Attributes:
        dataset, model: registered names.
        scores: the least and the greatest score that can be; predictions are mapped to it.
        label_step: distance between neighbouring labels where scores are labels, such as 1 for whole scores.
            Only such tasks get the quadratic weighted kappa.
        model_args: arguments of the model.
        training: how it is trained.
        shuffle_training_scores: whether training texts get each other's scores, so that nothing can be learnt.
        expect: for a control, the reason code for which it must be rejected; None for a task.
    """

    dataset: str
    model: str
    scores: ScoreRange
    label_step: float | None = None
    model_args: Mapping[str, Any] = field(default_factory=dict)
    training: TrainingSettings = TrainingSettings()
    shuffle_training_scores: bool = False
    expect: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no case can be made of.

        Raises:
            ValueError: an unknown reason code, or a step of which the range is no multiple.
        """
        if self.expect is not None and self.expect not in REASON_CODES:
            raise ValueError(f"{no_such('reason code', self.expect, REASON_CODES)}; correct `expect`")
        if self.label_step is not None:
            width = self.scores.high - self.scores.low
            if not (self.label_step > 0 and is_whole(width / self.label_step)):
                raise ValueError(
                    f"found label_step={self.label_step} for scores from {self.scores.low:g} to "
                    f"{self.scores.high:g}, expected a step that divides the range; correct it"
                )


class ModelBuilder(Protocol):
    """What `register_model` takes: a dataclass whose fields are the model's extra arguments."""

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Return the tokenizer that rows are encoded with."""

    def build(self, vocabularies: Mapping[str, Mapping[str, int]], scores: ScoreRange) -> PreTrainedModel:
        """Return a new model: `forward(input_ids, attention_mask, ..., labels)` gives `loss` and `logits`.

        `logits` are predictions from 0 to 1, shape (batch,).

        Args:
            vocabularies: for each categorical field, the index of each value, from 1; 0 is an unknown value.
            scores: for the model's configuration.
        """

    @property
    def origin(self) -> str:
        """Where its first weights come from: ``scratch`` or ``pretrained <name>``."""


def is_whole(number: float, tolerance: float = 1e-6) -> bool:
    """Whether a number is whole but for rounding."""
    return abs(number - round(number)) <= tolerance
