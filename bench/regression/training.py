"""Training with transformers' Trainer: from scratch, from a checkpoint's weights, or on from a checkpoint.

Importing this module imports torch and transformers.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.core.errors import TuningProblem
from bench.core.record import Json
from bench.machine.torchvision_shim import ensure_torchvision

ensure_torchvision()

import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainingArguments  # noqa: E402
from transformers.utils import logging  # noqa: E402

_INDEX, _SINGLE = "model.safetensors.index.json", "model.safetensors"
_NAMED = 5  # weights that a message names
_MEANINGS = ("vocabularies", "score_low", "score_high")  # of a configuration: what weights were learnt for

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Started:
    """How a training started.

    Attributes:
        started_from: ``scratch``, ``pretrained NAME``, ``finetuned-from PATH`` or ``resumed PATH``.
        missing: weights that the checkpoint lacks; they kept their fresh values.
        unused: weights of the checkpoint that the model has no place for.
        resume_from: the checkpoint whose optimizer, learning rate and step count continue; None starts them fresh.
    """

    started_from: str
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    resume_from: Path | None = None


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
    """A Trainer that ends when a loss is no number, and keeps each step's loss and learning rate.

    By default transformers logs the mean of the finite losses in place of one that is not, and goes on training.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.losses: list[float] = []
        self.learning_rates: list[float] = []
        self.remove_callback(PrinterCallback)

    def training_step(self, *arguments: Any, **named: Any) -> torch.Tensor:
        """Take a step.

        Raises:
            TuningProblem: ``training_failed``, a loss that is NaN or infinite.
        """
        loss = super().training_step(*arguments, **named)
        value = loss.item()
        if not math.isfinite(value):
            raise TuningProblem(
                "training_failed",
                f"the loss became {value} in step {self.state.global_step + 1}, expected a number; lower the learning "
                "rate, or look for scores and inputs that are no numbers",
            )
        self.losses.append(value)
        self.learning_rates.append(self._get_learning_rate())
        return loss


def training_arguments(
    settings: Mapping[str, Any], directory: Path, *, seed: int, use_cpu: bool, save: bool
) -> TrainingArguments:
    """Return arguments that print nothing, send nothing anywhere and drop no column.

    Args:
        settings: by transformers' names.
        directory: where checkpoints go; nothing is written without `save`.
        seed: of order and dropout.
        use_cpu: whether a GPU is not used.
        save: whether a checkpoint is written after each epoch; only the last one is kept.

    Raises:
        TuningProblem: ``task_invalid``: settings that transformers refuses.
    """
    leased = None if use_cpu else torch.cuda.current_device()
    try:
        arguments = TrainingArguments(
            output_dir=str(directory),
            seed=seed,
            use_cpu=use_cpu,
            save_strategy="epoch" if save else "no",
            save_total_limit=1,
            eval_strategy="no",
            logging_strategy="no",
            logging_nan_inf_filter=False,
            remove_unused_columns=False,
            label_names=["labels"],
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=not use_cpu,
            **settings,
        )
    except (ValueError, TypeError) as error:
        raise TuningProblem(
            "task_invalid", f"transformers refuses the training settings: {error}; correct them"
        ) from error
    if leased is not None:
        stay_on_gpu(arguments, leased)
    return arguments


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
    first_step = _steps_of(resume_from) if resume_from is not None else 0
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
    each = max(1, round(steps / epochs)) if epochs else 1
    last = trainer.losses[-each:]
    return Trained(
        first_step, max(steps, first_step), float(epochs), time.monotonic() - began,
        sum(last) / len(last) if last else None, list(trainer.learning_rates),
    )  # fmt: skip


def resume(model: PreTrainedModel, checkpoint: Path) -> Started:
    """Return a start that continues from a checkpoint.

    Raises:
        TuningProblem: ``model_failed``: a directory that is no checkpoint of the Trainer, or one whose model was made
            for other categories or another range of scores; its weights would mean something else.
    """
    _steps_of(checkpoint)
    theirs = read_config(checkpoint)
    for name in _MEANINGS:
        ours = getattr(model.config, name, None)
        if name in theirs and theirs[name] != ours:
            raise TuningProblem(
                "model_failed",
                f"--resume {checkpoint}: found {name}={_short(theirs[name])} there, expected {_short(ours)}, as of this "
                "task's rows; give a checkpoint of this task, or take its weights with --finetune-from",
            )
    return Started(f"resumed {checkpoint}", resume_from=checkpoint)


def finetune_from(model: PreTrainedModel, checkpoint: Path) -> Started:
    """Put a checkpoint's weights into a model; optimizer, learning rate and step count start fresh.

    Args:
        model: gets the weights.
        checkpoint: a checkpoint of the Trainer, or what `save_pretrained` wrote: of the whole model, or of its
            encoder alone. Weights that it lacks keep their fresh values.

    Raises:
        TuningProblem: ``model_failed``: no weights, none that fit, or one of another shape; keys are named.
    """
    state, own = read_weights(checkpoint), model.state_dict()
    if not own.keys() & state.keys():
        # An encoder by itself, or below the name that another architecture has for it.
        base = model.base_model_prefix
        bare = {f"{base}.{name}": value for name, value in state.items()}
        renamed = {f"{base}.{name.partition('.')[2]}": value for name, value in state.items()}
        state = max((state, bare, renamed), key=lambda weights: len(own.keys() & weights.keys()))
    adopt = getattr(model, "adopt", None)
    if adopt is not None:
        state = adopt(state, checkpoint)
    fitting = own.keys() & state.keys()
    if not fitting:
        raise TuningProblem(
            "model_failed",
            f"--finetune-from {checkpoint}: found weights {_some(state)}, expected some of {_some(own)}; give a checkpoint "
            "of this task's model",
        )
    other = {name for name in fitting if state[name].shape != own[name].shape}
    if other:
        name = min(other)
        raise TuningProblem(
            "model_failed",
            f"--finetune-from {checkpoint}: found {name} of shape {tuple(state[name].shape)}, expected "
            f"{tuple(own[name].shape)}, and {len(other) - 1} more of other shapes; give a checkpoint of the same model",
        )
    model.load_state_dict({name: state[name] for name in fitting}, strict=False)
    missing, unused = sorted(own.keys() - fitting), sorted(state.keys() - fitting)
    return Started(f"finetuned-from {checkpoint}", tuple(missing), tuple(unused))


def read_config(directory: Path) -> Json:
    """Return the ``config.json`` of a saved model, or an empty dictionary."""
    with suppress(OSError, ValueError):
        config: Json = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        return config
    return {}


def read_weights(directory: Path) -> Weights:
    """Return the weights in a directory: ``model.safetensors``, or the shards that its index names.

    Raises:
        TuningProblem: ``model_failed``: there are none, or they cannot be read. Pickled weights are not read.
    """
    try:
        if (directory / _SINGLE).is_file():
            return load_file(directory / _SINGLE)
        if (directory / _INDEX).is_file():
            shards = set(json.loads((directory / _INDEX).read_text(encoding="utf-8"))["weight_map"].values())
            return {
                name: value
                for shard in sorted(shards)
                for name, value in load_file(directory / shard).items()
            }
    except Exception as error:  # safetensors has exceptions of its own
        raise TuningProblem(
            "model_failed",
            f"{directory}: its weights cannot be read ({type(error).__name__}: {error}); save it again",
        ) from error
    found = ", ".join(sorted(file.name for file in directory.iterdir())[:8]) or "nothing"
    raise TuningProblem(
        "model_failed",
        f"{directory}: found {found}, expected {_SINGLE}; give a directory that save_pretrained wrote",
    )


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


def _steps_of(checkpoint: Path) -> int:
    """Return the steps that a checkpoint of the Trainer has behind it."""
    with suppress(OSError, ValueError, KeyError):
        return int(json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["global_step"])
    raise TuningProblem(
        "model_failed",
        f"--resume {checkpoint}: found no trainer_state.json with a step count, expected a checkpoint of the Trainer; to "
        "start from weights alone, give --finetune-from",
    )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _some(weights: Mapping[str, Any]) -> str:
    names = sorted(weights)
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
