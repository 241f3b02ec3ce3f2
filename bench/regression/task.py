"""What a regression task declares. Importing this module imports no framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bench.core.errors import REASON_CODES
from bench.core.registry import no_such
from bench.regression.scale import GroupRanges, Scale, ScoreRange, Scores

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How a model is trained; names and meanings are those of `transformers.TrainingArguments`.

    Attributes:
        max_length: tokens of a text at most.
        seed: of initial weights, order and dropout; None is the run's seed.
        validation: share of the training rows that is not trained on but chooses the best epoch. A dataset with
            `has_validation` brings rows of its own.
        early_stopping: epochs without a better one after which training ends; needs validation rows.
        arguments: any other `TrainingArguments` by name.
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
    validation: float = 0.0
    early_stopping: int | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse settings by which nothing is trained.

        Raises:
            ValueError: no epochs, or a share or number that is none.
        """
        if not self.num_train_epochs > 0 and "max_steps" not in self.arguments:
            raise ValueError(
                f"found num_train_epochs={self.num_train_epochs:g}, expected more than 0; to judge a model without training "
                "it, give --checkpoint"
            )
        if not 0 <= self.validation < 1:
            raise ValueError(
                f"found validation={self.validation:g}, expected a share of the training rows under 1, such as 0.1"
            )
        if self.early_stopping is not None and self.early_stopping < 1:
            raise ValueError(
                f"found early_stopping={self.early_stopping}, expected a number of epochs from 1; leave it out to train "
                "all epochs"
            )

    def to_arguments(self) -> dict[str, Any]:
        """Return what `TrainingArguments` takes."""
        ours = ("max_length", "seed", "validation", "early_stopping", "arguments")
        named = {name: value for name, value in asdict(self).items() if name not in ours}
        return {**named, **self.arguments}


@dataclass(frozen=True)
class RegressionTask:
    """A dataset, a model, and how the model is trained on the dataset.

    Attributes:
        dataset, model: registered names.
        scores: the least and the greatest score that can be; predictions are mapped to it. `GroupRanges` where they
            differ by group; a dictionary of either by name for several targets.
        label_step: distance between neighbouring labels where scores are labels, such as 1 for whole scores; of several
            targets, a dictionary of those that have labels. Only such scores get the quadratic weighted kappa.
        model_args: arguments of the model.
        training: how it is trained.
        shuffle_training_scores: whether training texts get each other's scores, so that nothing can be learnt.
        expect: for a control, the reason code for which it must be rejected; None for a task.
    """

    dataset: str
    model: str
    scores: Scores
    label_step: float | Mapping[str, float] | None = None
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
        scale = self.scale
        unknown = set(self.label_step) - set(scale.names) if isinstance(self.label_step, Mapping) else ()
        if unknown:
            raise ValueError(
                f"found label_step of {', '.join(sorted(unknown))}, expected targets: {', '.join(scale.names)}; correct it"
            )
        for target, ranges in scale.targets.items():
            step = self.step_of(target)
            every = ranges.ranges.values() if isinstance(ranges, GroupRanges) else (ranges,)
            for one in every if step is not None else ():
                _check_step(step, one)

    @property
    def scale(self) -> Scale:
        """The ranges of all targets."""
        return Scale.of(self.scores)

    def step_of(self, target: str) -> float | None:
        """Return the distance of a target's labels; None where its scores are no labels."""
        if isinstance(self.label_step, Mapping):
            return self.label_step.get(target)
        return self.label_step


def _check_step(step: float | None, within: ScoreRange) -> None:
    width = within.high - within.low
    if step is None or not (step > 0 and is_whole(width / step)):
        raise ValueError(
            f"found label_step={step} for scores from {within.text}, expected a step that divides the range; correct it"
        )


class ModelBuilder(Protocol):
    """What `register_model` takes: a dataclass whose fields are the model's extra arguments."""

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Return the tokenizer that rows are encoded with."""

    def build(self, vocabularies: Mapping[str, Mapping[str, int]], scores: Scores) -> nn.Module:
        """Return a new model, any `torch.nn.Module`. CONTRIBUTING says what `forward` is given and returns.

        Args:
            vocabularies: for each categorical field, the index of each value, from 1; 0 is an unknown value.
            scores: as the task declares them, for the model's configuration and the width of its head.
        """

    @property
    def origin(self) -> str:
        """Where its first weights come from: ``scratch`` or ``pretrained <name>``."""


def is_whole(number: float, tolerance: float = 1e-6) -> bool:
    """Whether a number is whole but for rounding."""
    return abs(number - round(number)) <= tolerance
