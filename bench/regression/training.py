"""Training with transformers' Trainer: from scratch, from a checkpoint's weights, or on from a checkpoint.

Importing this module imports torch and transformers.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from bench.core.errors import TuningProblem
from bench.core.record import Json
from bench.machine.torchvision_shim import ensure_torchvision
from bench.regression.model_args import checked
from bench.regression.outputs import logits_of, loss_of
from bench.regression.record import Validated, Validation
from bench.regression.scale import Floats
from bench.regression.weights import steps_of, write_note

ensure_torchvision()

import torch  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402
from transformers import (  # noqa: E402
    EarlyStoppingCallback,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)
from transformers.utils import logging  # noqa: E402

BEST_METRIC = "rmse"
_OF_VALIDATION = (
    "metric_for_best_model", "greater_is_better", "load_best_model_at_end", "eval_steps", "eval_delay", "eval_on_start",
)  # fmt: skip
_ERRORS = ("rmse", "mae", "loss")  # less is better
Validate = Callable[[Floats], dict[str, float]]
"""Returns the metrics of predictions for the validation rows, from 0 to 1, shape (rows, targets)."""


@dataclass
class Trained:
    """What a training came to.

    Attributes:
        first_step, steps: optimizer steps that were done before it, and when it ended.
        epochs: passes over the data when it ended, those before it included.
        seconds: that training took.
        loss: mean of the steps' losses in the last epoch; None where no step was taken.
        learning_rates: of each step.
    """

    first_step: int
    steps: int
    epochs: float
    seconds: float
    loss: float | None
    learning_rates: list[float] = field(default_factory=list)


class WatchedTrainer(Trainer):
    """A Trainer for any `nn.Module` that ends when a loss is no number, and keeps each step's loss and learning rate.

    By default transformers logs the mean of the finite losses in place of one that is not, and goes on training. It joins
    predictions from whatever a model returns; here they are its `logits`, row by row in the order of the rows.

    Args:
        note: what each checkpoint says of what it was trained on.
        validate: the metrics of the validation rows, which are the evaluation dataset.
    """

    def __init__(
        self, *arguments: Any, note: Json | None = None, validate: Validate | None = None, **named: Any
    ) -> None:
        super().__init__(*arguments, **named)
        self.losses: list[float] = []
        self.learning_rates: list[float] = []
        self.history: list[Validated] = []
        self._note, self._validate = note, validate
        # The loss is a mean over its batch: of several batches of a step, the Trainer has to take the mean.
        self.model_accepts_loss_kwargs = False
        self.remove_callback(PrinterCallback)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the loss of a batch, whatever the form in which `forward` gives it."""
        output = model(**inputs)
        loss = loss_of(output)
        return (loss, output) if return_outputs else loss

    def training_step(self, *arguments: Any, **named: Any) -> torch.Tensor:
        """Take a step.

        Raises:
            TuningProblem: ``training_failed``, a loss that is NaN or infinite.
        """
        loss = super().training_step(*arguments, **named)
        value = loss.item() * self.args.gradient_accumulation_steps
        if not math.isfinite(value):
            raise TuningProblem(
                "training_failed",
                f"the loss became {value} in step {self.state.global_step + 1}, expected a number; lower the learning "
                "rate, or look for scores and inputs that are no numbers",
            )
        self.losses.append(value)
        self.learning_rates.append(self._get_learning_rate())
        return loss

    def predict_rows(self, rows: Any) -> Floats:
        """Return predictions for encoded rows in their order, shape (rows, targets).

        Raises:
            TuningProblem: ``inference_failed``: what `forward` returned has no predictions.
        """
        model, found = self.model, []
        assert model is not None
        training = model.training
        model.eval()
        try:
            with torch.no_grad():
                # Not the Trainer's own DataLoader: some of its arguments sort rows by length, or drop the last ones.
                for batch in DataLoader(
                    rows, self.args.eval_batch_size, collate_fn=cast(Any, self.data_collator)
                ):
                    inputs = self._prepare_inputs(batch)
                    with self.compute_loss_context_manager():
                        logits = logits_of(model(**inputs))
                    found.append(logits.detach().float().cpu().numpy().astype(np.float64))
        finally:
            model.train(training)
        shapes = {part.shape[1:] for part in found}
        if len(shapes) > 1 or any(len(shape) > 1 for shape in shapes):
            raise TuningProblem(
                "inference_failed",
                f"found logits of shapes {', '.join(str(part.shape) for part in found[:3])}, expected (batch,) or "
                "(batch, targets); "
                "correct the model",
            )
        joined: Floats = np.concatenate(found)
        return joined[:, None] if joined.ndim == 1 else joined

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Evaluate the validation rows.

        Raises:
            TuningProblem: ``training_failed``: predictions that are no numbers.
        """
        assert self._validate is not None, "no validation rows"
        raw = self.predict_rows(self.eval_dataset)
        if not np.isfinite(raw).all():
            raise TuningProblem(
                "training_failed",
                f"predictions for validation rows became no numbers after step {self.state.global_step}; lower the "
                "learning rate, "
                "or look for inputs that are no numbers",
            )
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in self._validate(raw).items()}
        asked = self.args.metric_for_best_model or BEST_METRIC
        wanted = asked if asked.startswith("eval_") else f"eval_{asked}"
        if wanted not in metrics:
            raise TuningProblem(
                "training_failed",
                f"found no {wanted} among {', '.join(metrics)}, expected the metric by which the best epoch is "
                "chosen; it does "
                "not exist where predictions are constant: choose eval_rmse",
            )
        self.history.append(
            Validated(
                epoch=round(self.state.epoch or 0.0, 3), step=self.state.global_step, value=metrics[wanted]
            )
        )
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Save a checkpoint with a note of what it was trained on."""
        if not isinstance(self.model, PreTrainedModel) and state_dict is None:
            assert self.model is not None
            # Weights that a module has under two names share their memory, which the format has no way to say.
            state_dict = {
                name: value.detach().clone().contiguous() for name, value in self.model.state_dict().items()
            }
        super()._save(output_dir, state_dict)
        if self._note is not None:
            write_note(Path(output_dir or str(self.args.output_dir)), self._note)

    def validation(self) -> Validation | None:
        """Return how the best epoch was chosen; None without validation rows."""
        if self._validate is None:
            return None
        metric = (self.args.metric_for_best_model or BEST_METRIC).removeprefix("eval_")
        last = self.history[-1] if self.history else None
        kept = [one for one in self.history if one.step == self.state.best_global_step]
        rows: Any = self.eval_dataset
        return Validation(
            rows=len(rows),
            metric=metric,
            history=list(self.history),
            best=kept[-1] if kept and self.args.load_best_model_at_end else last,
            stopped_early=self.state.global_step < self.state.max_steps,
        )


def training_arguments(
    settings: Mapping[str, Any],
    directory: Path,
    *,
    seed: int,
    use_cpu: bool,
    save: bool,
    validated: bool = False,
) -> TrainingArguments:
    """Return arguments that print nothing, send nothing anywhere and drop no column, unless the settings say otherwise.

    Args:
        settings: by transformers' names; a text is turned into the argument's type.
        directory: where checkpoints go; nothing is written without `save` or `validated`.
        seed: of order and dropout.
        use_cpu: whether a GPU is not used.
        save: whether a checkpoint is written after each epoch; one is kept, the last, or with validation rows the best.
        validated: whether validation rows choose the best epoch, which is then loaded.

    Raises:
        TuningProblem: ``task_invalid``: settings that transformers refuses.
    """
    idle = [name for name in _OF_VALIDATION if name in settings and not validated]
    if idle:
        raise TuningProblem(
            "task_invalid",
            f"found {idle[0]} and no validation rows, expected some that it is about; set validation=0.1, or give "
            "the dataset "
            "a split `validation`",
        )
    leased = None if use_cpu else torch.cuda.current_device()
    defaults: dict[str, Any] = {
        "save_strategy": "epoch" if save or validated else "no",
        "save_total_limit": 1,
        "eval_strategy": "epoch" if validated else "no",
        "load_best_model_at_end": validated,
        "metric_for_best_model": BEST_METRIC if validated else None,
        "logging_strategy": "no",
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "dataloader_pin_memory": not use_cpu,
    }
    try:
        own = checked(TrainingArguments, settings, "training setting")
        merged = {**defaults, **own}
        if (
            validated and "greater_is_better" not in own
        ):  # of any name but `loss`, the Trainer takes the greatest
            merged["greater_is_better"] = not str(merged["metric_for_best_model"]).endswith(_ERRORS)
        arguments = TrainingArguments(
            output_dir=str(directory), use_cpu=use_cpu, remove_unused_columns=False, label_names=["labels"],
            **{"disable_tqdm": True, "seed": seed, **merged},
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        raise TuningProblem(
            "task_invalid", f"transformers refuses the training settings: {error}; correct them"
        ) from error
    if arguments.eval_strategy != "no" and not validated:
        raise TuningProblem(
            "task_invalid",
            f"found eval_strategy={arguments.eval_strategy} and no validation rows, expected some to evaluate; set "
            "validation=0.1",
        )
    if leased is not None:
        stay_on_gpu(arguments, leased)
    return arguments


def early_stopping(patience: int | None) -> list[EarlyStoppingCallback]:
    """Return the callback that ends a training after `patience` evaluations without a better one."""
    return [] if patience is None else [EarlyStoppingCallback(early_stopping_patience=patience)]


@contextmanager
def checkpoints_in(directory: Path, *, kept: bool) -> Iterator[Path]:
    """Give a folder for checkpoints: the one that is named, or one that is gone afterwards."""
    if kept:
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="modelgate-checkpoints-") as temporary:
        yield Path(temporary)


def stay_on_gpu(arguments: TrainingArguments, index: int) -> None:
    """Keep a Trainer on the one GPU that the case has leased; by default it takes all of them."""
    if torch.cuda.is_available():
        torch.cuda.set_device(index)
    arguments.__dict__["_setup_devices"] = torch.device("cuda", index)  # what its property `device` caches
    arguments._n_gpu = 1


def train(trainer: WatchedTrainer, resume_from: Path | None = None) -> Trained:
    """Train and say what was done.

    Raises:
        TuningProblem: ``training_failed``: a loss that is no number, or an exception of the training.
    """
    first_step = steps_of(resume_from) if resume_from is not None else 0
    began = time.monotonic()
    try:
        with quiet():
            trainer.train(resume_from_checkpoint=str(resume_from) if resume_from is not None else None)
    except TuningProblem:
        raise
    except Exception as error:  # model, collator and optimizer may raise anything
        text = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        raise TuningProblem(
            "training_failed", f"training raised {text}; see the model's forward and the collator"
        ) from error
    steps, epochs = trainer.state.global_step, trainer.state.epoch or 0.0
    # A complete checkpoint is not trained further, and then the Trainer reports no epoch.
    epochs = epochs or first_step / max(1, trainer.state.max_steps) * trainer.state.num_train_epochs
    each = max(1, round(steps / epochs)) * trainer.args.gradient_accumulation_steps if epochs else 1
    last = trainer.losses[-each:]
    return Trained(
        first_step, max(steps, first_step), float(epochs), time.monotonic() - began,
        sum(last) / len(last) if last else None, list(trainer.learning_rates),
    )  # fmt: skip


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars and reports out of the output while models are loaded or trained."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
