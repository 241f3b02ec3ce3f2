"""Options of the regression cases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import UsageProblem
from bench.core.options import Setting, option

FILES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
"""Suffixes of files of weights."""


@dataclass(frozen=True)
class RegressionOptions:
    """Options of the regression cases."""

    task: tuple[str, ...] = option(
        "regression tasks by name (default: those of the --user-dir folders, else all that ship)",
        (), metavar="NAME", neutral=True,
    )  # fmt: skip
    model_args: dict[str, str] = option(
        "arguments of the tasks' model; they replace those that a task names",
        {}, metavar="KEY=VALUE", example="dropout=0.2",
    )  # fmt: skip
    training_args: dict[str, str] = option(
        "training settings, such as num_train_epochs=8; they replace those that a task names",
        {}, metavar="KEY=VALUE", example="num_train_epochs=8",
    )  # fmt: skip
    finetune_from: Path | None = option(
        "a model or checkpoint, a folder or a file such as model.pt: training starts from its weights, with a new "
        "optimizer, "
        "learning rate and step count",
        metavar="PATH",
    )  # fmt: skip
    resume: Path | None = option(
        "directory of a checkpoint: training continues from it, with its optimizer, learning rate and step count",
        metavar="PATH",
    )  # fmt: skip
    resume_anyway: bool = option(
        "continue from --resume though the training rows are not those of the checkpoint", False
    )
    checkpoint: Path | None = option(
        "a model or checkpoint, a folder or a file such as model.pt, that is judged as it is: nothing is trained",
        metavar="PATH",
    )
    save_model: bool = option(
        "keep each trained model under results/, and a checkpoint for --resume or --finetune-from", False
    )


def resolve(options: RegressionOptions, setting: Setting) -> RegressionOptions:
    """Check the options against each other and against the disk.

    Raises:
        UsageProblem: several ways to start, training settings where nothing is trained, or a path that does not exist.
    """
    starts = {
        "--finetune-from": options.finetune_from, "--resume": options.resume, "--checkpoint": options.checkpoint,
    }  # fmt: skip
    given = {flag: path for flag, path in starts.items() if path is not None}
    table = getattr(getattr(setting, "run", None), "predictions", None)
    ways = [*given, *(["--predictions"] if table is not None else [])]
    if len(ways) > 1:
        raise UsageProblem(
            f"{' and '.join(ways)}: found {'both' if len(ways) == 2 else len(ways)}, expected one; a model either "
            "starts from "
            "weights, continues from a checkpoint, or is judged as it is"
        )
    for flag, path in given.items():
        if path.is_file() and flag != "--resume" and path.suffix in FILES:
            continue
        if path.is_file():
            raise UsageProblem(
                f"{flag} {path}: found a file, expected "
                + (
                    "the folder of a checkpoint, with its optimizer and step count; to start from weights alone, give "
                    "--finetune-from"
                    if flag == "--resume"
                    else f"a folder with a saved model, or a file that ends in {', '.join(FILES)}; correct the path"
                )
            )
        if not path.is_dir():
            raise UsageProblem(
                f"{flag} {path}: no such folder or file; expected a saved model or checkpoint; correct the path"
            )
    if options.resume_anyway and options.resume is None:
        raise UsageProblem(
            "--resume-anyway: found no --resume, expected one that it is about; give it, or leave this out"
        )
    untrained = [way for way in ways if way in ("--checkpoint", "--predictions")]
    idle = {"--training-args": options.training_args, "--save-model": options.save_model}
    if table is not None:
        idle["--model-args"] = options.model_args
    for flag, value in idle.items():
        if untrained and value and not _is_of_the_judging(flag, options):
            raise UsageProblem(
                f"{untrained[0]} and {flag}: found both, expected one; nothing is trained, so {flag} would change nothing"
            )
    return options


def _is_of_the_judging(flag: str, options: RegressionOptions) -> bool:
    """Whether all that an option of training sets is about reading texts, which a checkpoint does too."""
    return (
        options.checkpoint is not None
        and flag == "--training-args"
        and set(options.training_args) <= {"max_length", "per_device_eval_batch_size"}
    )
