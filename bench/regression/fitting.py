"""A task's model from its first weights to its predictions. Importing this module imports torch and transformers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np

from bench.core.errors import TuningProblem
from bench.core.record import Json
from bench.regression import training, weights
from bench.regression.dataset import Encoded, Split, groups_of, scores_of
from bench.regression.figures import values
from bench.regression.lengths import check_length
from bench.regression.options import RegressionOptions
from bench.regression.preparation import Rows, builder_for, collator_of, encode_rows
from bench.regression.record import LearningRate, Plain, Training
from bench.regression.scale import Floats
from bench.regression.task import RegressionTask

_NAMED = 20  # weights that a record names


class Fit:
    """Builds the model of a task, trains it and asks it.

    Args:
        task: what is trained, and how.
        rows: the task's rows.
        options: how training starts, the model's arguments, and whether checkpoints are kept.
        directory: for checkpoints.
        seed: of weights, order and dropout.
        device: ``cpu`` or ``cuda``.
        warnings: a list that gets what a reader of the record must know.
        resources: ends what the fit holds, such as a folder for checkpoints that are not kept.

    Raises:
        TuningProblem: a model that cannot be built or a checkpoint that does not fit; rows that cannot be encoded.
    """

    def __init__(
        self, task: RegressionTask, rows: Rows, options: RegressionOptions, directory: Path, *, seed: int, device: str,
        warnings: list[str], resources: ExitStack,
    ) -> None:  # fmt: skip
        import torch  # noqa: PLC0415
        from transformers import set_seed  # noqa: PLC0415

        self._task, self._rows, self._warnings = task, rows, warnings
        builder, self._arguments = builder_for(task, options.model_args)
        set_seed(seed)
        self._vocabularies = (
            weights.known_vocabularies(options.checkpoint) if options.checkpoint is not None else None
        ) or rows.vocabularies()
        with _blaming_the_model(), training.quiet():
            self._tokenizer = builder.tokenizer()
            self._model = builder.build(self._vocabularies, task.scores)
        self._check_model()
        self._upcast = weights.upcast(self._model)
        check_length(task, self._tokenizer, self._model, warnings)
        self._encoded = self._encode("train") if "train" in rows.used else []
        self._started = self._start(options, builder.origin)
        self._seed, self._threads = seed, torch.get_num_threads()
        self._trainer = self._make_trainer(options, directory, device, resources)

    def _make_trainer(
        self, options: RegressionOptions, directory: Path, device: str, resources: ExitStack
    ) -> training.WatchedTrainer:
        task, rows = self._task, self._rows
        settings = task.training
        validated = "validation" in rows.used
        kept = options.save_model or not validated
        place = resources.enter_context(training.checkpoints_in(directory, kept=kept))
        arguments = training.training_arguments(
            settings.to_arguments(), place, seed=self._seed, use_cpu=device == "cpu", save=options.save_model,
            validated=validated,
        )  # fmt: skip
        try:
            return training.WatchedTrainer(
                model=self._model,
                args=arguments,
                train_dataset=cast(Any, self._encoded or None),
                eval_dataset=cast(Any, self._encode("validation")) if validated else None,
                data_collator=collator_of(rows, self._tokenizer),
                processing_class=self._tokenizer,
                callbacks=cast(Any, training.early_stopping(settings.early_stopping)),
                note=self._note(),
                validate=self._validate() if validated else None,
            )
        except (ValueError, TypeError) as error:
            raise TuningProblem(
                "task_invalid", f"the Trainer refuses the training settings: {_said(error)}; correct them"
            ) from error

    def _note(self) -> Json:
        """Return what a checkpoint of this training says of what it was trained on."""
        task = self._task
        return {
            "schema": "modelgate-checkpoint-1",
            "model": task.model,
            "rows": self._rows.hashes(),
            "vocabularies": {name: dict(values) for name, values in self._vocabularies.items()},
            "scores": task.scale.to_plain(),
        }

    def _validate(self) -> Callable[[Floats], dict[str, float]]:
        task, rows = self._task, self._rows.used["validation"]
        scale = task.scale
        groups, gold = groups_of(rows, scale), np.array(scores_of(rows, scale))
        steps = {target: task.step_of(target) for target in scale.names}
        return lambda raw: values(scale, steps, gold, self._as_targets(raw, len(rows)), groups)

    @property
    def is_trained(self) -> bool:
        """Whether there is a training, and not a checkpoint to judge as it is."""
        return self._started.is_trained

    def train(self) -> training.Trained:
        """Train; errors as for `bench.regression.training.train`."""
        if not self.is_trained:
            return training.Trained(0, 0, 0.0, 0.0, None)
        trained = training.train(self._trainer, self._started.resume_from)
        if not trained.learning_rates:
            self._warnings.append(
                f"no step was taken: the checkpoint has done all {trained.steps}; to train further, raise "
                "num_train_epochs, or start from its weights with --finetune-from"
            )
        return trained

    def predict(self) -> Floats:
        """Return the predictions for the evaluation rows, from 0 to 1, shape (rows, targets).

        Raises:
            TuningProblem: ``inference_failed``: not one finite number per row and target, or an exception of the model.
        """
        rows = self._rows.used["evaluation"]
        encoded = self._encode("evaluation")
        try:
            with training.quiet():
                raw = self._as_targets(self._trainer.predict_rows(cast(Any, encoded)), len(rows))
        except TuningProblem:
            raise
        except Exception as error:  # model and collator may raise anything
            raise TuningProblem(
                "inference_failed",
                f"the model raised {_said(error)} on evaluation rows; see its forward and the collator",
            ) from error
        for place in np.argwhere(~np.isfinite(raw))[:1]:
            raise TuningProblem(
                "inference_failed",
                f"found the prediction {raw[tuple(place)]} for {rows[place[0]].key}, expected a number from 0 to 1; "
                "correct the "
                "model",
            )
        outside = int(((raw < 0) | (raw > 1)).sum())
        if outside:
            self._warnings.append(
                f"{outside} predictions are outside 0 to 1, and so outside the task's range: the model does not end in a "
                "sigmoid"
            )
        return raw

    def _as_targets(self, raw: Floats, rows: int) -> Floats:
        targets = len(self._task.scale.names)
        if raw.shape != (rows, targets):
            found = len(raw) if raw.shape[1:] == (targets,) else " x ".join(map(str, raw.shape))
            expected = "(batch,)" if targets == 1 else f"(batch, {targets})"
            raise TuningProblem(
                "inference_failed",
                f"found {found} predictions for {rows} rows, expected `logits` of shape {expected}; correct the model",
            )
        return raw

    def _check_model(self) -> None:
        import torch  # noqa: PLC0415

        if not isinstance(self._model, torch.nn.Module):
            raise TuningProblem(
                "model_failed",
                f"found {type(self._model).__name__} as what build() of {self._task.model} returned, expected a "
                "torch.nn.Module; "
                "return the model",
            )

    def to_record(self, trained: training.Trained | None) -> Training:
        """Return what a record says: how training started and, once it ended, what it came to."""
        started, task = self._started, self._task
        record = Training(
            started_from=started.started_from,
            examples=len(self._encoded),
            seed=self._seed,
            threads=self._threads,
            model=task.model,
            model_args={name: _plain(value) for name, value in self._arguments.items()},
            parameters=sum(parameter.numel() for parameter in self._model.parameters()),
            settings={name: _plain(value) for name, value in _settings(task).items()},
            missing=len(started.missing),
            missing_keys=list(started.missing[:_NAMED]),
            unused=len(started.unused),
            unused_keys=list(started.unused[:_NAMED]),
            upcast=dict(self._upcast),
        )
        if trained is not None:
            rates = trained.learning_rates
            record.first_step, record.steps = trained.first_step, trained.steps
            record.epochs, record.seconds = round(trained.epochs, 3), trained.seconds
            record.loss = trained.loss
            record.learning_rate = LearningRate(first=rates[0], last=rates[-1]) if rates else None
            record.validation = self._trainer.validation()
        return record

    def _start(self, options: RegressionOptions, origin: str) -> weights.Started:
        if options.checkpoint is not None:
            return weights.judge_checkpoint(self._model, options.checkpoint, self._note())
        if options.resume is not None:
            started = weights.resume(self._model, options.resume, self._note(), anyway=options.resume_anyway)
            self._warnings += started.warnings
            return started
        if options.finetune_from is None:
            return weights.Started(origin)
        started = weights.finetune_from(self._model, options.finetune_from)
        if started.missing:
            self._warnings.append(
                f"{started.started_from}: {len(started.missing)} weights are not there and start fresh, "
                f"{started.missing[0]} the first"
            )
        return started

    def _encode(self, split: Split) -> list[Encoded]:
        encoded, limit = (
            encode_rows(self._task, self._rows, split, self._tokenizer, self._vocabularies),
            self._task.training.max_length,
        )
        cut = sum(len(row.get("input_ids", ())) >= limit for row in encoded)
        if cut:
            self._warnings.append(
                f"{split} texts that reach max_length={limit} and are not read beyond: {cut}"
            )
        return encoded


def _settings(task: RegressionTask) -> dict[str, Any]:
    """Return the training settings by name, with any other arguments among them."""
    settings = asdict(task.training)
    return {**settings, **settings.pop("arguments")}


@contextmanager
def _blaming_the_model() -> Iterator[None]:
    """Turn an exception of loading or building a model into a problem of the model."""
    try:
        yield
    except TuningProblem:
        raise
    except Exception as error:
        raise TuningProblem(
            "model_failed", f"the model cannot be built: {_said(error)}; correct its arguments or its files"
        ) from error


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


def _plain(value: Any) -> Plain:
    if (
        value is None
        or isinstance(value, bool | int | str)
        or (isinstance(value, float) and math.isfinite(value))
    ):
        return value
    return repr(value)
