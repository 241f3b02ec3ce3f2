"""Options of the regression cases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import UsageProblem
from bench.core.options import Setting, option


@dataclass(frozen=True)
class RegressionOptions:
    """Options of the regression cases."""

    task: tuple[str, ...] = option(
        "regression tasks by name (default: those of the --user-dir folders, else all that ship)",
        (), metavar="NAME", selects=True)  # fmt: skip
    model_args: dict[str, str] = option(
        "arguments of the tasks' model; they replace those that a task names",
        {}, metavar="KEY=VALUE", example="dropout=0.2",
    )  # fmt: skip
    training_args: dict[str, str] = option(
        "training settings, such as num_train_epochs=8; they replace those that a task names",
        {}, metavar="KEY=VALUE", example="num_train_epochs=8",
    )  # fmt: skip
    finetune_from: Path | None = option(
        "directory of a model or checkpoint: training starts from its weights, with a new optimizer, learning rate "
        "and step count",
        metavar="PATH",
    )  # fmt: skip
    resume: Path | None = option(
        "directory of a checkpoint: training continues from it, with its optimizer, learning rate and step count",
        metavar="PATH",
    )  # fmt: skip
    save_model: bool = option(
        "keep each trained model under results/, and a checkpoint for --resume or --finetune-from", False
    )


def resolve(options: RegressionOptions, setting: Setting) -> RegressionOptions:
    """Check the options against each other and against the disk.

    Raises:
        UsageProblem: both ways to start, or a directory that does not exist.
    """
    starts = {"--finetune-from": options.finetune_from, "--resume": options.resume}
    given = {flag: path for flag, path in starts.items() if path is not None}
    if len(given) > 1:
        raise UsageProblem(
            "--finetune-from and --resume: found both, expected one; a training either starts from weights or continues "
            "from a checkpoint"
        )
    for flag, path in given.items():
        if not path.is_dir():
            raise UsageProblem(
                f"{flag} {path}: no such folder; expected one with a saved model or checkpoint; correct the path"
            )
    return options
