"""Command-line options: their names, their help, and what they resolve to."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.core.case import DEFAULT_MAX_QUALITY_LOSS

_GIB = 2**30
DEFAULT_BATCH_SIZE = 4


def add_options(parser: pytest.Parser) -> None:
    """Add every option of the suite to pytest's parser."""
    group = parser.getgroup("modelgate", "Modelgate")
    add = group.addoption
    add("--tasks", nargs="+", action="extend", metavar="FILE", help="annotation lists (default: what ships)")
    add(
        "--candidates",
        nargs="+",
        action="extend",
        metavar="FILE",
        help="generation lists, joined on prompt_id",
    )
    add("--work-dir", metavar="DIR", default="outputs/default", help="where runs are written")
    add("--device", default="cpu", choices=("cpu", "cuda"), help="device of all pipelines")
    add(
        "--seed",
        default="0",
        metavar="N",
        help="seed of samples and statistics; `random` draws and records one",
    )
    add(
        "--inconclusive",
        default="fail",
        choices=("fail", "skip"),
        help="what an inconclusive case is to pytest",
    )

    quality = parser.getgroup("modelgate-quality", "Modelgate: quality")
    add = quality.addoption
    add(
        "--clip",
        metavar="MODEL:PRETRAINED|DIR",
        help="open_clip model of the CLIP score (default: tiny-clip)",
    )
    add(
        "--prompts",
        metavar="FILE|DIR|NAME",
        help="dataset of prompts: jsonl, parquet, csv, directory or hub name",
    )
    add("--prompts-split", metavar="SPLIT", help="split of the prompts")
    add(
        "--prompts-column",
        metavar="COLUMN",
        help="column of the prompts (default: caption, captions, prompt or text)",
    )
    add("--num-samples", type=int, default=32, metavar="N", help="images scored per arm")
    add(
        "--batch-size",
        metavar="N|auto",
        help="images per call of a pipeline (default: 4), questions per batch of a language model (default: auto)",
    )
    add(
        "--max-quality-loss", type=float, default=DEFAULT_MAX_QUALITY_LOSS, metavar="FRACTION",
        help="allowed relative loss of the CLIP score where a task names none",
    )  # fmt: skip

    timing = parser.getgroup("modelgate-timing", "Modelgate: timing and isolation")
    add = timing.addoption
    add("--exclusive", action="store_true", help="time one pair at a time, on all cores")
    add("--time-budget", type=float, default=240.0, metavar="S", help="seconds of timed rounds per pair")
    add("--max-rounds", type=int, default=40, metavar="N", help="timed rounds per pair at most")
    add(
        "--ungated-rounds", type=int, default=20, metavar="N",
        help="timed rounds at most where no gate asks for the speedup",
    )  # fmt: skip
    add(
        "--ungated-precision", type=float, default=0.1, metavar="FRACTION",
        help="and how precisely it is to be known then, as half the width of its interval",
    )  # fmt: skip
    add(
        "--warmup-rounds",
        type=int,
        default=2,
        metavar="N",
        help="untimed calls first, the first call included",
    )
    add(
        "--load-timeout",
        type=float,
        default=300.0,
        metavar="S",
        help="limit for loading, and for the first call",
    )
    add("--round-timeout", type=float, default=300.0, metavar="S", help="limit for one batch")
    add(
        "--memory-limit",
        type=float,
        metavar="GB",
        help="address space of one arm (default: from the machine's)",
    )
    add("--output-limit", type=float, default=8.0, metavar="MB", help="what one arm may print")
    add(
        "--pass-env",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="environment variables that arms may see",
    )

    parser.addini("modelgate_tasks", "annotation lists when --tasks is not given", type="paths")
    parser.addini("modelgate_candidates", "generation lists when --candidates is not given", type="paths")
    parser.addini("modelgate_prompts", "prompts when --prompts is not given", type="paths")
    parser.addini("modelgate_clip", "CLIP model when --clip is not given", type="paths")


@dataclass(frozen=True)
class Options:
    """Resolved options of a run."""

    tasks: tuple[Path, ...]
    candidates: tuple[Path, ...]
    work_dir: Path
    device: str
    seed_text: str
    inconclusive: str
    clip: str
    prompts: str
    prompts_split: str | None
    prompts_column: str | None
    num_samples: int
    batch_size: int
    max_quality_loss: float
    exclusive: bool
    time_budget_s: float
    max_rounds: int
    ungated_rounds: int
    ungated_precision: float
    warmup_rounds: int
    load_timeout_s: float
    round_timeout_s: float
    memory_bytes: int | None
    output_bytes: int
    pass_env: tuple[str, ...]


def resolve_options(config: pytest.Config) -> Options:
    """Resolve and check the options.

    Raises:
        pytest.UsageError: when a value is out of its range, naming the option, the value and the range.
    """
    get = config.getoption
    for name, least in (
        ("num_samples", 2), ("max_rounds", 6), ("ungated_rounds", 6), ("ungated_precision", 0),
        ("warmup_rounds", 1), ("time_budget", 0),
        ("load_timeout", 0.1), ("round_timeout", 0.1), ("output_limit", 0), ("max_quality_loss", 0),
    ):  # fmt: skip
        if not get(name) >= least:
            raise pytest.UsageError(f"--{name.replace('_', '-')} {get(name)}: expected at least {least}")
    tasks = _paths(get("tasks"), config) or tuple(config.getini("modelgate_tasks"))
    candidates = _paths(get("candidates"), config)
    if not candidates and not get("tasks"):
        candidates = tuple(config.getini("modelgate_candidates"))
    memory = get("memory_limit")
    return Options(
        tasks=tasks,
        candidates=candidates,
        work_dir=local_path(get("work_dir"), config),
        device=get("device"),
        seed_text=get("seed"),
        inconclusive=get("inconclusive"),
        clip=_local(get("clip"), config) or _first(config.getini("modelgate_clip")),
        prompts=_local(get("prompts"), config) or _first(config.getini("modelgate_prompts")),
        prompts_split=get("prompts_split"),
        prompts_column=get("prompts_column"),
        num_samples=get("num_samples"),
        batch_size=_batch_size(get("batch_size")),
        max_quality_loss=get("max_quality_loss"),
        exclusive=get("exclusive"),
        time_budget_s=get("time_budget"),
        max_rounds=get("max_rounds"),
        ungated_rounds=get("ungated_rounds"),
        ungated_precision=get("ungated_precision"),
        warmup_rounds=get("warmup_rounds"),
        load_timeout_s=get("load_timeout"),
        round_timeout_s=get("round_timeout"),
        memory_bytes=None if memory is None else int(memory * _GIB),
        output_bytes=int(get("output_limit") * 2**20),
        pass_env=words(get("pass_env")),
    )


def resolve_seed(text: str) -> int:
    """Return the seed that ``--seed`` names; ``random`` draws one, so that nobody can know it beforehand.

    Raises:
        pytest.UsageError: when it is neither ``random`` nor an integer from 0.
    """
    if text == "random":
        return secrets.randbelow(2**31)
    if not text.isascii() or not text.isdigit():
        raise pytest.UsageError(f"--seed {text}: expected an integer from 0, or `random`")
    return int(text)


def _batch_size(text: str | None) -> int:
    """Return the images per call; ``auto`` is for language models, whose batches shrink when memory runs out."""
    if text is None or text == "auto":
        return DEFAULT_BATCH_SIZE
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise pytest.UsageError(f"--batch-size {text}: expected an integer from 1, or `auto`")
    return int(text)


def worker_count(config: pytest.Config) -> int:
    """Return how many processes run cases: the workers of xdist, or this one."""
    workerinput = getattr(config, "workerinput", None)
    if workerinput is not None:
        return int(workerinput["workercount"])
    return max(1, len(getattr(config.option, "tx", None) or []))


def words(values: Iterable[str] | None) -> tuple[str, ...]:
    """Split values given with spaces, by commas, or repeated."""
    return tuple(word for value in values or () for word in value.split(",") if word)


def local_path(text: str, config: pytest.Config) -> Path:
    """Return a path of the command line as an absolute one."""
    return (config.invocation_params.dir / Path(text).expanduser()).absolute()


def _paths(values: Iterable[str] | None, config: pytest.Config) -> tuple[Path, ...]:
    return tuple(local_path(word, config) for word in words(values))


def _local(text: str | None, config: pytest.Config) -> str:
    """Make what is a path on this machine absolute; leave hub and model names alone."""
    if not text:
        return ""
    path = local_path(text, config)
    return str(path) if path.exists() else text


def _first(paths: Iterable[Path]) -> str:
    return next((str(path) for path in paths), "")
