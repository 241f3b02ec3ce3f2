"""A task's model from its first weights to its predictions. Importing this module imports torch and transformers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np

from bench.core.errors import TuningProblem
from bench.regression import training
from bench.regression.dataset import Encoded, Split
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

    Raises:
        TuningProblem: a model that cannot be built or a checkpoint that does not fit; rows that cannot be encoded.
    """

    def __init__(
        self, task: RegressionTask, rows: Rows, options: RegressionOptions, directory: Path, *, seed: int, device: str,
        warnings: list[str],
    ) -> None:  # fmt: skip
        import torch  # noqa: PLC0415
        from transformers import set_seed  # noqa: PLC0415

        self._task, self._rows, self._warnings = task, rows, warnings
        builder, self._arguments = builder_for(task, options.model_args)
        set_seed(seed)
        with _blaming_the_model(), training.quiet():
            self._tokenizer = builder.tokenizer()
            self._model = builder.build(rows.vocabularies(), task.scores)
        self._check_length()
        self._encoded = self._encode("train")
        self._started = self._start(options, builder.origin)
        self._seed, self._threads = seed, torch.get_num_threads()
        self._trainer = training.WatchedTrainer(
            model=self._model,
            args=training.training_arguments(
                task.training.to_arguments(),
                directory,
                seed=seed,
                use_cpu=device == "cpu",
                save=options.save_model,
            ),
            train_dataset=cast(Any, self._encoded),
            data_collator=collator_of(rows, self._tokenizer),
            processing_class=self._tokenizer,
        )

    def train(self) -> training.Trained:
        """Train; errors as for `bench.regression.training.train`."""
        trained = training.train(self._trainer, self._started.resume_from)
        if not trained.learning_rates:
            self._warnings.append(
                f"no step was taken: the checkpoint has done all {trained.steps}; to train further, raise "
                "num_train_epochs, or start from its weights with --finetune-from"
            )
        return trained

    def predict(self) -> Floats:
        """Return the predictions for the evaluation rows, from 0 to 1, shape (rows,).

        Raises:
            TuningProblem: ``inference_failed``: not one finite number per row, or an exception of the model.
        """
        rows = self._rows.used["evaluation"]
        encoded = self._encode("evaluation")
        try:
            with training.quiet():
                found = self._trainer.predict(cast(Any, encoded)).predictions
            raw = np.asarray(found[0] if isinstance(found, tuple) else found, dtype=np.float64).reshape(-1)
        except Exception as error:  # model and collator may raise anything
            raise TuningProblem(
                "inference_failed",
                f"the model raised {_said(error)} on evaluation rows; see its forward and the collator",
            ) from error
        if len(raw) != len(rows):
            raise TuningProblem(
                "inference_failed",
                f"found {len(raw)} predictions for {len(rows)} rows, expected `logits` of shape (batch,); correct the model",
            )
        for place in np.flatnonzero(~np.isfinite(raw))[:1]:
            raise TuningProblem(
                "inference_failed",
                f"found the prediction {raw[place]} for {rows[place].key}, expected a number from 0 to 1; correct the model",
            )
        outside = int(((raw < 0) | (raw > 1)).sum())
        if outside:
            self._warnings.append(
                f"{outside} predictions are outside 0 to 1, and so outside the task's range: the model does not end in a "
                "sigmoid"
            )
        return raw

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
            settings={name: _plain(value) for name, value in asdict(task.training).items()},
            missing=len(started.missing),
            missing_keys=list(started.missing[:_NAMED]),
            unused=len(started.unused),
            unused_keys=list(started.unused[:_NAMED]),
        )
        if trained is not None:
            rates = trained.learning_rates
            record.first_step, record.steps = trained.first_step, trained.steps
            record.epochs, record.seconds = round(trained.epochs, 3), trained.seconds
            record.loss = trained.loss
            record.learning_rate = LearningRate(first=rates[0], last=rates[-1]) if rates else None
        return record

    def _start(self, options: RegressionOptions, origin: str) -> training.Started:
        if options.resume is not None:
            return training.resume(self._model, options.resume)
        if options.finetune_from is None:
            return training.Started(origin)
        started = training.finetune_from(self._model, options.finetune_from)
        if started.missing:
            self._warnings.append(
                f"{started.started_from}: {len(started.missing)} weights are not there and start fresh, "
                f"{started.missing[0]} the first"
            )
        return started

    def _encode(self, split: Split) -> list[Encoded]:
        encoded, limit = (
            encode_rows(self._task, self._rows, split, self._tokenizer),
            self._task.training.max_length,
        )
        cut = sum(len(row.get("input_ids", ())) >= limit for row in encoded)
        if cut:
            self._warnings.append(
                f"{split} texts that reach max_length={limit} and are not read beyond: {cut}"
            )
        return encoded

    def _check_length(self) -> None:
        limit, most = self._task.training.max_length, getattr(self._tokenizer, "model_max_length", None)
        if most is not None and limit > most:
            raise TuningProblem(
                "task_invalid",
                f"found max_length={limit}, expected at most {most}, which is all that the model {self._task.model} reads; "
                "lower it",
            )


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
