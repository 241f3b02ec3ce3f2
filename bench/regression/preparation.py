"""What is trained and evaluated on: rows read and encoded, and the model's builder with its arguments."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from bench.core.errors import TuningProblem
from bench.core.raised import told
from bench.core.registry import no_such
from bench.regression import builder  # noqa: F401  registers the model `encoder`
from bench.regression.argument_names import RESERVED, argument_names
from bench.regression.dataset import (
    MIN_ROWS,
    Encoded,
    Excluded,
    ScoredText,
    ScoredTexts,
    Split,
    data_hash,
    groups_of,
    read_split,
    scores_of,
    vocabularies,
)
from bench.regression.model_args import Arguments, checked, missing_arguments
from bench.regression.record import Data
from bench.regression.registry import DATASETS, MODELS, dataset_of
from bench.regression.scale import Scale
from bench.regression.task import ModelBuilder, RegressionTask, TrainingSettings, is_whole

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Vocabularies = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Rows:
    """The rows of a task.

    Attributes:
        dataset: that they are from.
        used: by split, those with a score of the range. Where nothing is trained there may be evaluation rows alone.
        excluded: by split, what was left out.
        hash: identifies the rows by their content.
    """

    dataset: ScoredTexts
    used: dict[Split, list[ScoredText]]
    excluded: dict[Split, Excluded]
    hash: str

    def vocabularies(self) -> Vocabularies:
        """Return the index of each value of each categorical field among training rows."""
        return vocabularies(self.used.get("train", ()), self.dataset.fields)

    def hashes(self) -> dict[str, str]:
        """Return what identifies the rows of each split by their content."""
        return {split: data_hash({split: rows}) for split, rows in self.used.items()}

    def to_record(self) -> Data:
        """Return what a record says of them."""
        return Data(
            label=self.dataset.label or type(self.dataset).__name__,
            hash=self.hash,
            rows={split: len(rows) for split, rows in self.used.items()},
            left_out={split: excluded.to_record() for split, excluded in self.excluded.items()},
        )

    def warnings(self) -> list[str]:
        """Return what a reader of the record must know of the rows."""
        found = [
            sentence for split, excluded in self.excluded.items() if (sentence := excluded.sentence(split))
        ]
        trained = [*self.used.get("train", ()), *self.used.get("validation", ())]
        known = {row.text for row in trained}
        shared = sum(row.text in known for row in self.used["evaluation"])
        if shared:
            found.append(f"evaluation texts that are training texts too: {shared}; the figures are too good")
        for name, values in self.vocabularies().items() if trained else ():
            new = sum(row.fields[name] not in values for row in self.used["evaluation"])
            if new:
                found.append(f"evaluation rows with a {name} that no training row has: {new}")
        return found


def read_rows(task: RegressionTask, seed: int, *, is_trained: bool = True) -> Rows:
    """Read the rows of a task; for a control, training texts get each other's scores.

    Args:
        task: names the dataset.
        seed: of the shuffling, and of the rows that are set apart for validation.
        is_trained: whether there is a training; else the evaluation rows alone are read.

    Raises:
        TuningProblem: ``task_invalid``: an unknown dataset, with the nearest names; ``data_failed``: rows that cannot be
            used.
    """
    if task.dataset not in DATASETS:
        raise TuningProblem("task_invalid", DATASETS.unknown(task.dataset))
    try:
        dataset = dataset_of(task.dataset)
    except Exception as error:  # the user's code may raise anything
        raise TuningProblem(
            "data_failed", f"dataset {task.dataset} raised {told(error)}; correct it"
        ) from error
    splits: tuple[Split, ...] = ("train", "evaluation") if is_trained else ("evaluation",)
    if is_trained and dataset.has_validation:
        splits = ("train", "validation", "evaluation")
    used, excluded = dict[Split, list[ScoredText]](), dict[Split, Excluded]()
    for split in splits:
        used[split], excluded[split] = read_split(dataset, split, task.scores)
        _check_labels(used[split], split, task)
    if is_trained:
        _set_apart(used, task, seed)
    if is_trained and task.shuffle_training_scores:
        used["train"] = _shuffled(used["train"], seed)
    return Rows(dataset, used, excluded, data_hash(used))


def _set_apart(used: dict[Split, list[ScoredText]], task: RegressionTask, seed: int) -> None:
    """Take the validation rows out of the training rows, where a share of them is asked for."""
    share, rows = task.training.validation, used["train"]
    if "validation" in used:
        if share:
            raise TuningProblem(
                "task_invalid",
                f"found validation={share:g} and a dataset with validation rows of its own, expected one of both; leave out "
                "the setting",
            )
        return
    if not share:
        if task.training.early_stopping is not None:
            raise TuningProblem(
                "task_invalid",
                f"found early_stopping={task.training.early_stopping} and no validation rows, expected some that say when "
                "to stop; set validation=0.1, or give the dataset a split `validation`",
            )
        return
    count = round(share * len(rows))
    if count < MIN_ROWS or len(rows) - count < MIN_ROWS:
        raise TuningProblem(
            "data_failed",
            f"found {count} validation rows of {len(rows)} training rows, expected at least {MIN_ROWS} of each; change "
            "validation, or give more rows",
        )
    chosen = set(random.Random(f"validation {seed}").sample(range(len(rows)), count))
    used["validation"] = [row for place, row in enumerate(rows) if place in chosen]
    used["train"] = [row for place, row in enumerate(rows) if place not in chosen]


def _check_labels(rows: list[ScoredText], split: Split, task: RegressionTask) -> None:
    """Refuse scores that are no labels where the task says that all are."""
    scale: Scale = task.scale
    groups = groups_of(rows, scale)
    for row, group, scores in zip(rows, groups, scores_of(rows, scale), strict=True):
        for target, score in zip(scale.names, scores, strict=True):
            step, low = task.step_of(target), scale.range_of(target, group).low
            if step is not None and not is_whole((score - low) / step):
                raise TuningProblem(
                    "data_failed",
                    f"{split} rows: {row.key} has the score {score:g}, expected {low:g} plus steps of {step:g}, as the "
                    "task's label_step says; leave label_step out where scores are no labels",
                )


def _shuffled(rows: list[ScoredText], seed: int) -> list[ScoredText]:
    scores = [row.score for row in rows]
    random.Random(seed).shuffle(scores)
    return [replace(row, score=score) for row, score in zip(rows, scores, strict=True)]


def encode_rows(
    task: RegressionTask, rows: Rows, split: Split, tokenizer: PreTrainedTokenizerBase, indices: Vocabularies
) -> list[Encoded]:
    """Return the model's inputs of each row: what `encode` gives, `extra_ids` and `labels`.

    `labels` is a score from 0 to 1, or a list of one for each of several targets.

    Raises:
        TuningProblem: ``data_failed``: what the dataset's `encode` raised, with the row's key.
    """
    used, scale, limit = rows.used[split], task.scale, task.training.max_length
    labels = scale.to_unit(scores_of(used, scale), groups_of(used, scale)).tolist()
    encoded = []
    for row, label in zip(used, labels, strict=True):
        try:
            inputs = dict(rows.dataset.encode(row, tokenizer, limit))
        except Exception as error:  # the user's code may raise anything
            raise TuningProblem(
                "data_failed",
                f"{split} rows: {row.key}: encode() raised {told(error)}; correct the dataset",
            ) from error
        if indices:
            inputs["extra_ids"] = [values.get(row.fields[name], 0) for name, values in indices.items()]
        encoded.append({**inputs, "labels": label[0] if scale.is_single else label})
    return encoded


def collator_of(rows: Rows, tokenizer: PreTrainedTokenizerBase) -> Any:
    """Return the dataset's collator; raises TuningProblem, ``data_failed``, with what its `collator` raised."""
    try:
        return rows.dataset.collator(tokenizer)
    except Exception as error:  # the user's code may raise anything
        raise TuningProblem("data_failed", f"collator() raised {told(error)}; correct the dataset") from error


def with_settings(task: RegressionTask, overrides: Mapping[str, str]) -> RegressionTask:
    """Return a task with training settings of the command line in place of its own.

    Raises:
        TuningProblem: ``task_invalid``: an unknown setting, with the nearest names, one that the suite sets itself, or a
            wrong type.
    """
    ours = [field.name for field in fields(TrainingSettings) if field.name != "arguments"]
    others = {name: value for name, value in overrides.items() if name not in ours}
    for name in (*others, *task.training.arguments):
        if name in RESERVED:
            raise TuningProblem(
                "task_invalid",
                f"found the training setting {name}, which the suite sets: {RESERVED[name]}; leave it out",
            )
        if name not in argument_names():
            known = [*ours, *(known for known in argument_names() if known not in RESERVED)]
            raise TuningProblem(
                "task_invalid",
                f"{no_such('training setting', name, known)}; any of TrainingArguments can be given",
            )
    try:
        settings = checked(
            TrainingSettings,
            {name: value for name, value in overrides.items() if name in ours},
            "training setting",
        )
        arguments = {**task.training.arguments, **others}
        return replace(task, training=replace(task.training, **settings, arguments=arguments))
    except ValueError as error:
        raise TuningProblem("task_invalid", str(error)) from error


def model_arguments(task: RegressionTask, overrides: Mapping[str, str]) -> Arguments:
    """Return the arguments of a task's model.

    Args:
        task: names the model and its arguments.
        overrides: of the command line; they replace the task's.

    Raises:
        TuningProblem: ``task_invalid``: an unknown model or argument, with the nearest names, a wrong type, or an
            argument that the model needs and nothing names.
    """
    if task.model not in MODELS:
        raise TuningProblem("task_invalid", MODELS.unknown(task.model))
    made, what = MODELS[task.model], f"argument of model {task.model}"
    try:
        arguments = checked(made, {**task.model_args, **overrides}, what)
        missing = missing_arguments(made, arguments)
    except ValueError as error:
        raise TuningProblem("task_invalid", str(error)) from error
    if missing:
        raise TuningProblem(
            "task_invalid",
            f"found no {what} named {missing[0]}, expected one; give it in the task's model_args, or with --model-args "
            f"{missing[0]}=...",
        )
    return arguments


def builder_for(task: RegressionTask, overrides: Mapping[str, str]) -> tuple[ModelBuilder, Arguments]:
    """Return the builder of a task's model and the arguments it was given.

    Raises:
        TuningProblem: ``task_invalid``, as for `model_arguments`; ``model_failed``, arguments that the builder refuses.
    """
    arguments = model_arguments(task, overrides)
    try:
        return MODELS[task.model](**arguments), arguments
    except Exception as error:  # a model is anybody's code
        text = str(error) if isinstance(error, ValueError) else told(error)
        raise TuningProblem("model_failed", text) from error


def problem_of(
    task: RegressionTask, model_args: Mapping[str, str], training_args: Mapping[str, str]
) -> str | None:
    """Return why a task cannot be trained, as far as it is known before anything is loaded; None where it can."""
    if task.dataset not in DATASETS:
        return DATASETS.unknown(task.dataset)
    try:
        with_settings(task, training_args)
        model_arguments(task, model_args)
    except TuningProblem as problem:
        return str(problem)
    return None
