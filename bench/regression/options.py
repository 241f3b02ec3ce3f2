"""Command-line options of regression cases, and of the tables that regression and reranking cases write."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.report.export import DEFAULT_FORMATS, WRITERS
from bench.run.options import local_path, words

_EXAMPLES = {"--model-args": "dropout=0.2", "--training-args": "num_train_epochs=8"}


def add_options(parser: pytest.Parser) -> None:
    """Add the options to pytest's parser."""
    add = parser.getgroup("modelgate-tuning", "Modelgate: text regression, and tables of samples").addoption
    several = {"nargs": "+", "action": "extend"}
    add(
        "--user-dir", **several, metavar="DIR",
        help="folders whose Python files register tasks, datasets and models of your own; imported as packages",
    )  # fmt: skip
    add(
        "--task", **several, metavar="NAME",
        help="regression tasks by name (default: those of --user-dir, else all that ship)",
    )  # fmt: skip
    add(
        "--model-args", **several, metavar="KEY=VALUE",
        help="extra arguments of the regression tasks' model, over those that the task names",
    )  # fmt: skip
    add(
        "--training-args", **several, metavar="KEY=VALUE",
        help="training settings of the regression tasks, such as num_train_epochs=8, over those that the task names",
    )  # fmt: skip
    add(
        "--finetune-from", metavar="PATH",
        help="a model's or checkpoint's directory: training starts from its weights, with optimizer, learning rate "
        "and step count fresh",
    )  # fmt: skip
    add(
        "--resume", metavar="PATH",
        help="a checkpoint's directory: training goes on where it stopped, with its optimizer, learning rate and "
        "step count",
    )  # fmt: skip
    add(
        "--save-model", action="store_true",
        help="keep each trained model, and a checkpoint to --resume or --finetune-from, under results/",
    )  # fmt: skip
    add(
        "--tables", **several, metavar="FORMAT",
        help=f"how tables of samples are written: {', '.join(WRITERS)} (default: {','.join(DEFAULT_FORMATS)})",
    )  # fmt: skip


@dataclass(frozen=True)
class TuningOptions:
    """Resolved options of regression cases.

    Attributes:
        user_dirs: folders to import, absolute.
        tasks: names; empty for the default.
        model_args: extra arguments of the model, by name, as texts.
        training_args: training settings, by name, as texts.
        finetune_from, resume: directories; at most one is given.
        save_model: whether trained models are kept.
        tables: formats of tables of samples.
    """

    user_dirs: tuple[Path, ...]
    tasks: tuple[str, ...]
    model_args: dict[str, str]
    training_args: dict[str, str]
    finetune_from: Path | None
    resume: Path | None
    save_model: bool
    tables: tuple[str, ...]


def resolve(config: pytest.Config) -> TuningOptions:
    """Resolve and check the options.

    Raises:
        pytest.UsageError: when a value cannot be used, naming the option, the value and what was expected.
    """
    get = config.getoption
    starts = {
        option: _directory(config, option, value)
        for option, value in (("--finetune-from", get("finetune_from")), ("--resume", get("resume")))
        if value is not None
    }
    if len(starts) > 1:
        raise pytest.UsageError(
            "--finetune-from and --resume: a training starts from weights or goes on from a checkpoint; give one"
        )
    return TuningOptions(
        user_dirs=tuple(local_path(name, config) for name in words(get("user_dir"))),
        tasks=tuple(dict.fromkeys(words(get("task")))),
        model_args=_pairs("--model-args", get("model_args") or ()),
        training_args=_pairs("--training-args", get("training_args") or ()),
        finetune_from=starts.get("--finetune-from"),
        resume=starts.get("--resume"),
        save_model=get("save_model"),
        tables=table_formats(config),
    )


def table_formats(config: pytest.Config) -> tuple[str, ...]:
    """Return the formats of ``--tables``, which regression and reranking cases share.

    Raises:
        pytest.UsageError: an unknown one.
    """
    formats = tuple(dict.fromkeys(words(config.getoption("tables")))) or DEFAULT_FORMATS
    for name in formats:
        if name not in WRITERS:
            raise pytest.UsageError(f"--tables {name}: expected some of {', '.join(WRITERS)}")
    return formats


def _directory(config: pytest.Config, option: str, value: str) -> Path:
    path = local_path(value, config)
    if not path.is_dir():
        raise pytest.UsageError(
            f"{option} {value}: no such folder; expected one with a saved model or checkpoint"
        )
    return path


def _pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise pytest.UsageError(f"{option} {text}: expected KEY=VALUE, such as {_EXAMPLES[option]}")
        pairs[name] = value
    return pairs
