"""Weights and checkpoints on disk: read, put into any `nn.Module`, and checked against the rows they were trained on.

Importing this module imports torch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from bench.core.errors import TuningProblem
from bench.core.files import replace_file
from bench.core.record import Json

_INDEX, _SINGLE, _PICKLED = "model.safetensors.index.json", "model.safetensors", "pytorch_model.bin"
NOTE = "modelgate.json"
"""File of a checkpoint that says what it was trained on."""

_WITHIN = (
    "model",
    "state_dict",
    "model_state_dict",
    "module",
)  # where training scripts put a model's weights
_PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile
_NAMED = 5  # weights that a message names
_MEANINGS = (
    "vocabularies",
    "score_low",
    "score_high",
    "ranges",
)  # of a configuration: what weights were learnt for

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Started:
    """How a training started.

    Attributes:
        started_from: ``scratch``, ``pretrained NAME``, ``finetuned-from PATH``, ``resumed PATH`` or ``checkpoint PATH``.
        missing: weights that the checkpoint lacks; they kept their fresh values.
        unused: weights of the checkpoint that the model has no place for.
        resume_from: the checkpoint whose optimizer, learning rate and step count continue; None starts them fresh.
        is_trained: whether there is a training.
        warnings: what a reader of the record must know of it.
    """

    started_from: str
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    resume_from: Path | None = None
    is_trained: bool = True
    warnings: tuple[str, ...] = ()


def resume(model: nn.Module, checkpoint: Path, note: Json, *, anyway: bool = False) -> Started:
    """Return a start that continues from a checkpoint.

    Args:
        model: any module.
        checkpoint: a checkpoint of the Trainer.
        note: what a checkpoint of this training would say, see `write_note`.
        anyway: continue though the training rows are others, or not known.

    Raises:
        TuningProblem: ``model_failed``: what is no checkpoint of the Trainer, or one whose model was made for other
            categories or another range of scores; its weights would mean something else. ``data_failed``: other rows.
    """
    steps_of(checkpoint)
    theirs = {**read_json(checkpoint / NOTE), **read_json(checkpoint / "config.json")}
    config = getattr(model, "config", None)
    ours = {**note, **{name: getattr(config, name) for name in _MEANINGS if hasattr(config, name)}}
    for name in (*_MEANINGS, "scores"):
        if name in theirs and name in ours and theirs[name] != json.loads(json.dumps(ours[name])):
            raise TuningProblem(
                "model_failed",
                f"--resume {checkpoint}: found {name}={_short(theirs[name])} there, expected {_short(ours[name])}, "
                "as of this "
                "task's rows; give a checkpoint of this task, or take its weights with --finetune-from",
            )
    found, now = theirs.get("rows") or {}, note["rows"]
    changed = [split for split in now if split != "evaluation" and found.get(split) != now[split]]
    warnings = []
    if changed:
        what = (
            f"trained on {changed[0]} rows with the hash {found.get(changed[0])}, expected those of now, {now[changed[0]]}"
            if found
            else f"no {NOTE} that says which rows it was trained on"
        )
        if not anyway:
            raise TuningProblem(
                "data_failed",
                f"--resume {checkpoint}: found {what}; restore the rows, start from the weights with "
                "--finetune-from, or give "
                "--resume-anyway",
            )
        warnings.append(f"--resume-anyway {checkpoint}: {what}")
    if found and found.get("evaluation") != now.get("evaluation"):
        warnings.append(f"--resume {checkpoint}: the evaluation rows are not those of the checkpoint")
    return Started(f"resumed {checkpoint}", resume_from=checkpoint, warnings=tuple(warnings))


def finetune_from(model: nn.Module, checkpoint: Path, flag: str = "--finetune-from") -> Started:
    """Put a checkpoint's weights into a model; optimizer, learning rate and step count start fresh.

    Args:
        model: gets the weights; any module.
        checkpoint: a checkpoint of the Trainer, what `save_pretrained` wrote, or a file that `torch.save` wrote: of the
            whole model, or of its encoder alone. Weights that it lacks keep their fresh values.
        flag: the option that named it, for messages.

    Raises:
        TuningProblem: ``model_failed``: no weights, none that fit, or one of another shape; keys are named.
    """
    state, own = read_weights(checkpoint), model.state_dict()
    if not own.keys() & state.keys():
        state = _under_a_part(state, model)
    adopt = getattr(model, "adopt", None)
    if adopt is not None:
        state = adopt(state, checkpoint)
    fitting = own.keys() & state.keys()
    if not fitting:
        raise TuningProblem(
            "model_failed",
            f"{flag} {checkpoint}: found weights {_some(state)}, expected some of {_some(own)}; give a checkpoint "
            "of this task's model",
        )
    other = {name for name in fitting if state[name].shape != own[name].shape}
    if other:
        name = min(other)
        raise TuningProblem(
            "model_failed",
            f"{flag} {checkpoint}: found {name} of shape {tuple(state[name].shape)}, expected "
            f"{tuple(own[name].shape)}, and {len(other) - 1} more of other shapes; give a checkpoint of the same model",
        )
    model.load_state_dict({name: state[name] for name in fitting}, strict=False)
    missing, unused = sorted(own.keys() - fitting), sorted(state.keys() - fitting)
    return Started(f"finetuned-from {checkpoint}", tuple(missing), tuple(unused))


def judge_checkpoint(model: nn.Module, checkpoint: Path, note: Json) -> Started:
    """Put all of a checkpoint's weights into a model that is judged without training.

    Raises:
        TuningProblem: ``model_failed``: as `finetune_from`; weights that the checkpoint lacks, which would be random; one
            that was trained for another range of scores.
    """
    started = finetune_from(model, checkpoint, "--checkpoint")
    if started.missing:
        raise TuningProblem(
            "model_failed",
            f"--checkpoint {checkpoint}: found no weights for {', '.join(started.missing[:_NAMED])} ({len(started.missing)} "
            "missing), expected all, since they would be random; give a checkpoint of the whole model",
        )
    theirs = read_json(checkpoint / NOTE) if checkpoint.is_dir() else {}
    if "scores" in theirs and theirs["scores"] != json.loads(json.dumps(note["scores"])):
        raise TuningProblem(
            "model_failed",
            f"--checkpoint {checkpoint}: found scores={_short(theirs['scores'])} there, expected "
            f"{_short(note['scores'])}, as "
            "the task declares; give a checkpoint of this task",
        )
    return Started(f"checkpoint {checkpoint}", (), started.unused, is_trained=False)


def known_vocabularies(checkpoint: Path | None) -> dict[str, dict[str, int]] | None:
    """Return the index of each value of each categorical field that a checkpoint was trained with; None if not known."""
    if checkpoint is None or not checkpoint.is_dir():
        return None
    for name in (NOTE, "config.json"):
        found = read_json(checkpoint / name).get("vocabularies")
        if isinstance(found, dict):
            return found
    return None


def write_note(directory: Path, note: Json) -> None:
    """Write down in a checkpoint what it was trained on: task, vocabularies, scores, and hashes of the rows."""
    replace_file(directory / NOTE, json.dumps(note, indent=1) + "\n")


def upcast(model: nn.Module) -> dict[str, int]:
    """Turn a model's weights into float32; return how many were of another floating type, by type.

    The smallest step of float16 near 1 is 0.001, more than most updates of a weight, and its gradients end at 0 or infinity.
    """
    found: dict[str, int] = {}
    for weight in (*model.parameters(), *model.buffers()):
        if weight.is_floating_point() and weight.dtype in (torch.float16, torch.bfloat16):
            name = str(weight.dtype).removeprefix("torch.")
            found[name] = found.get(name, 0) + weight.numel()
    if found:
        model.float()
    return found


def read_json(file: Path) -> Json:
    """Return the object of a JSON file, or an empty dictionary."""
    with suppress(OSError, ValueError):
        content = json.loads(file.read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else {}
    return {}


def read_weights(path: Path) -> Weights:
    """Return weights of a file, or of a directory: ``model.safetensors``, its shards, or a file of `torch.save`.

    Raises:
        TuningProblem: ``model_failed``: there are none, or they cannot be read. A pickled file is read as far as it holds
            tensors and plain values: other objects in it could run code.
    """
    try:
        if path.is_file():
            return load_file(path) if path.suffix == ".safetensors" else _read_pickled(path)
        if (path / _SINGLE).is_file():
            return load_file(path / _SINGLE)
        if (path / _INDEX).is_file():
            shards = set(json.loads((path / _INDEX).read_text(encoding="utf-8"))["weight_map"].values())
            return {
                name: value for shard in sorted(shards) for name, value in load_file(path / shard).items()
            }
        if (path / _PICKLED).is_file():
            return _read_pickled(path / _PICKLED)
    except TuningProblem:
        raise
    except Exception as error:  # safetensors has exceptions of its own
        raise TuningProblem(
            "model_failed",
            f"{path}: its weights cannot be read ({type(error).__name__}: {error}); save it again",
        ) from error
    found = ", ".join(sorted(file.name for file in path.iterdir())[:8]) or "nothing"
    raise TuningProblem(
        "model_failed",
        f"{path}: found {found}, expected {_SINGLE}; give a directory that save_pretrained wrote, or a file of weights",
    )


def steps_of(checkpoint: Path) -> int:
    """Return the steps that a checkpoint of the Trainer has behind it; raises TuningProblem, ``model_failed``."""
    if checkpoint.is_file():
        raise TuningProblem(
            "model_failed",
            f"--resume {checkpoint}: found a file of weights, expected the folder of a Trainer's checkpoint, with its "
            "optimizer and step count; to start from weights alone, give --finetune-from",
        )
    with suppress(OSError, ValueError, KeyError):
        return int(json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["global_step"])
    raise TuningProblem(
        "model_failed",
        f"--resume {checkpoint}: found no trainer_state.json with a step count, expected a checkpoint of the Trainer; to "
        "start from weights alone, give --finetune-from",
    )


def _read_pickled(file: Path) -> Weights:
    # Training scripts keep their options next to the weights, as a Namespace, and scores as NumPy numbers: plain values.
    plain: list[Any] = [argparse.Namespace, np.dtype, np.float64(0).__reduce__()[0]]
    plain += [type(np.dtype(name)) for name in ("float64", "float32", "int64")]
    try:
        with torch.serialization.safe_globals(plain):
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch have exceptions of their own
        raise TuningProblem(
            "model_failed",
            f"{file}: found what cannot be read as weights ({_short(' '.join(str(error).split()))}), expected "
            "tensors by name, "
            "alone or under `model` or `state_dict`; write them with torch.save(model.state_dict(), file)",
        ) from error
    inner = next(
        (found[name] for name in _WITHIN if isinstance(found, dict) and isinstance(found.get(name), Mapping)),
        found,
    )
    weights = (
        {name: value for name, value in inner.items() if isinstance(name, str) and torch.is_tensor(value)}
        if isinstance(inner, Mapping)
        else {}
    )
    if not weights:
        raise TuningProblem(
            "model_failed",
            f"{file}: found {_short(list(found) if isinstance(found, dict) else type(found).__name__)}, expected "
            "tensors by name, "
            "alone or under `model` or `state_dict`; write them with torch.save(model.state_dict(), file)",
        )
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights


def _under_a_part(state: Weights, model: nn.Module) -> Weights:
    """Return weights of an encoder by itself, or below another model's name for it, under this model's name for it."""
    own = model.state_dict().keys()
    named = getattr(model, "base_model_prefix", "")
    parts = [name for name in dict.fromkeys((named, *(name for name, _ in model.named_children()))) if name]
    candidates = [state, {name.partition(".")[2]: value for name, value in state.items() if "." in name}]
    for part in parts:
        candidates.append({f"{part}.{name}": value for name, value in state.items()})
        candidates.append(
            {f"{part}.{name.partition('.')[2]}": value for name, value in state.items() if "." in name}
        )
    return max(candidates, key=lambda weights: len(own & weights.keys()))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _some(weights: Mapping[str, Any]) -> str:
    names = sorted(weights)
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
