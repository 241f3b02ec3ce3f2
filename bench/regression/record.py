"""What the record of a regression case holds besides the common keys."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from bench.core.estimate import Estimate
from bench.core.record import Body, Gain

Plain = bool | int | float | str | None


class LearningRate(msgspec.Struct, kw_only=True):
    """The learning rates of the first and the last step."""

    first: float
    last: float


class Validated(msgspec.Struct, kw_only=True):
    """The evaluation of the validation rows after an epoch; the metric is the one by which the best epoch is chosen."""

    epoch: float
    step: int
    value: float


class Validation(msgspec.Struct, kw_only=True):
    """How the best epoch was chosen.

    Attributes:
        rows: how many rows chose it.
        metric: by which; errors are in the unit of the scores where there is one range, else shares of it.
        history: its values.
        best: the one of the model that was kept; None where no evaluation took place.
        stopped_early: whether training ended before all epochs.
    """

    rows: int
    metric: str
    history: list[Validated] = []
    best: Validated | None = None
    stopped_early: bool = False


class Training(msgspec.Struct, kw_only=True):
    """What was trained, how it started, and what it came to.

    Attributes:
        first_step, steps: optimizer steps before this training, and when it ended; None until it ends, like the
            next four.
        epochs: passes over the data when it ended, those before it included.
        seconds: duration of the training.
        loss: mean of the losses in the last epoch.
        learning_rate: None where no step was taken.
        started_from: ``scratch``, ``pretrained NAME``, ``finetuned-from PATH``, ``resumed PATH``, or where nothing was
            trained ``checkpoint PATH``.
        examples: training rows.
        seed, threads: of the training.
        model: registered name.
        model_args: arguments that the task or the command line gives.
        parameters: number of weights.
        settings: training settings by name.
        missing, missing_keys: weights that the checkpoint lacks: how many, and the first of them.
        unused, unused_keys: weights of the checkpoint that the model has no place for.
        upcast: how many weights the model had in another type than float32, by type: they are trained in float32.
        validation: None where no validation rows chose an epoch.
    """

    first_step: int | None = None
    steps: int | None = None
    epochs: float | None = None
    seconds: float | None = None
    loss: float | None = None
    learning_rate: LearningRate | None = None
    started_from: str
    examples: int
    seed: int
    threads: int
    model: str
    model_args: dict[str, Plain]
    parameters: int
    settings: dict[str, Plain]
    missing: int = 0
    missing_keys: list[str] = []
    unused: int = 0
    unused_keys: list[str] = []
    upcast: dict[str, int] = {}
    validation: Validation | None = None


class LeftOut(msgspec.Struct, kw_only=True):
    """How many rows of a split were left out, in total and by reason."""

    rows: int
    reasons: dict[str, int]


class Data(msgspec.Struct, kw_only=True):
    """What was trained and evaluated on.

    Attributes:
        label: what the dataset says of its rows' origin.
        hash: identifies the rows by their content.
        rows: number of rows that were used, by split.
        left_out: rows that were not, by split.
    """

    label: str
    hash: str
    rows: dict[str, int]
    left_out: dict[str, LeftOut]


class RegressionGain(Gain, frozen=True, kw_only=True):
    """How far the root mean squared error is under that of always predicting the mean, in the unit of the scores.

    Attributes:
        mean: of the evaluated scores.
        mean_rmse: the error of always predicting it, which is their standard deviation.
    """

    mean: float
    mean_rmse: float


class ScoreGroup(msgspec.Struct, kw_only=True):
    """What was found of a target in a group that has a range of its own.

    Attributes:
        target: its name; empty where the task has one target.
        group: the value of the field that names the group.
        low, high: its range.
        n: evaluated rows.
        metrics: on that range, by name.
        gain: over always predicting the mean of the group; None for a single row.
    """

    target: str
    group: str
    low: float
    high: float
    n: int
    metrics: dict[str, Estimate]
    gain: RegressionGain | None = None


class RegressionBody(Body, kw_only=True):
    """The keys that only regression records have.

    Attributes:
        task: name of the registered task.
        training: None until a model was built, and where predictions of a table are judged.
        predictions: the table that was judged in place of a model's predictions; None where there is none.
        targets: the gain of each of several targets; empty where the task has one.
        groups: figures by group, where groups have ranges of their own.
    """

    gain_type: ClassVar[type[Gain]] = RegressionGain

    task: str
    training: Training | None = None
    predictions: str | None = None
    targets: dict[str, RegressionGain] = msgspec.field(default_factory=dict)
    groups: list[ScoreGroup] = msgspec.field(default_factory=list)


def named(target: str, metric: str) -> str:
    """Return the name of a target's metric, such as ``style_mae``; of the only target, the metric's own."""
    return f"{target}_{metric}" if target else metric
