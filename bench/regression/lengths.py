"""How many tokens a model can read, as its own parts say. Importing this module imports torch."""

from __future__ import annotations

from typing import Any

from torch import nn

from bench.core.errors import TuningProblem
from bench.regression.task import RegressionTask

# What models call the table of their learnt positions: texts that are longer have no entry there.
_TABLES = (
    "position_embeddings",
    "embed_positions",
    "wpe",
    "position_embedding",
    "pos_embedding",
    "embeddings_position",
)


def check_length(task: RegressionTask, tokenizer: Any, model: nn.Module, warnings: list[str]) -> None:
    """Refuse a task whose `max_length` is beyond what its tokenizer or its model can read.

    Args:
        task: with its training settings.
        tokenizer: of the model; one that knows its limit says so in `model_max_length`.
        model: its tables of learnt positions are looked for, and the configurations of its parts.
        warnings: gets a sentence where only a configuration speaks against it: positions that are computed go on.

    Raises:
        TuningProblem: ``task_invalid``.
    """
    limit = task.training.max_length
    most, of_what = getattr(tokenizer, "model_max_length", None), f"the model {task.model}"
    learnt = learnt_positions(model)
    if learnt is not None and (most is None or learnt[0] < most):
        most, of_what = learnt[0], f"the model {task.model} ({learnt[1]})"
    if most is not None and limit > most:
        raise TuningProblem(
            "task_invalid",
            f"found max_length={limit}, expected at most {most}, which is all that {of_what} reads; lower it",
        )
    declared = [
        int(most)
        for part in model.modules()
        if isinstance(most := getattr(getattr(part, "config", None), "max_position_embeddings", None), int)
    ]
    if learnt is None and declared and limit > min(declared):
        warnings.append(
            f"max_length={limit} is beyond the {min(declared)} positions that the model's configuration names"
        )


def learnt_positions(model: nn.Module) -> tuple[int, str] | None:
    """Return how many tokens the smallest table of learnt positions has room for and its name; None without one.

    Where a table has a padding entry, as RoBERTa's, positions begin after it. Where it has an offset, as BART's, that many
    entries belong to no token.
    """
    found = []
    for name, part in model.named_modules():
        if isinstance(part, nn.Embedding) and name.rpartition(".")[2] in _TABLES:
            unused = part.padding_idx + 1 if part.padding_idx is not None else getattr(part, "offset", 0)
            found.append((part.num_embeddings - int(unused), name))
    return min(found, default=None)
