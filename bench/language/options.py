"""Command-line options of the language cases, and what they resolve to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bench.language.config import RunConfig, read_config
from bench.language.models.catalog import MODELS
from bench.language.models.config import ModelConfig, ModelProblem, from_options
from bench.language.rows import HUB, OWN
from bench.run.options import local_path, words, worker_count

MODES = ("all", "infer", "eval", "viz")


def add_options(parser: pytest.Parser) -> None:
    """Add the options of the language cases to pytest's parser."""
    add = parser.getgroup("modelgate-language", "Modelgate: language models").addoption
    several = {"nargs": "+", "action": "extend"}
    add("--models", **several, metavar="NAME", help="models by name (default: tiny_lm, which ships)")
    add("--datasets", **several, metavar="NAME", help="datasets by name (default: all that ship)")
    add("--dataset-dir", **several, metavar="DIR", help="folders with dataset files of your own")
    add("--config", **several, metavar="FILE", help="Python files with lists `models` and `datasets`")
    add("--data", default=OWN, metavar="own|hub|DIR", help="where rows come from (default: those that ship)")
    add("--limit", type=int, metavar="N", help="rows of each dataset at most")
    add("--hf-path", metavar="PATH|NAME", help="a model's directory or hub name")
    add(
        "--hf-type",
        default="base",
        choices=("base", "chat"),
        help="whether prompts go through the chat template",
    )
    add(
        "--tokenizer-path",
        metavar="PATH|NAME",
        help="tokenizer of --hf-path, where it is not beside the model",
    )
    add("--peft-path", metavar="PATH|NAME", help="adapter on --hf-path")
    for name in ("model", "tokenizer", "generation"):
        add(f"--{name}-kwargs", **several, metavar="KEY=VALUE", help=f"further arguments of the {name}")
    add("--max-seq-len", type=int, metavar="N", help="tokens of prompt and answer together, at most")
    add("--max-out-len", type=int, metavar="N", help="new tokens at most (default: what the dataset says)")
    add("--dtype", metavar="NAME", help="auto, float32, bfloat16 or float16")
    add("--api-base", metavar="URL", help="an OpenAI-compatible server in place of a local model")
    add("--api-model", metavar="NAME", help="the name by which the server knows the model")
    add("--api-concurrency", type=int, default=8, metavar="N", help="requests to a server at a time")
    add(
        "--mode", default="all", choices=MODES, help="infer only, evaluate or show stored predictions, or all"
    )
    add("--reuse", metavar="latest|RUN|DIR", help="take over predictions of an earlier run where they fit")
    add("--min-score", **several, metavar="[MODEL/]DATASET=N", help="required score, as the table shows it")
    add("--reference", metavar="RUN|DIR", help="a run that no score may be worse than by more than --margin")
    add("--margin", type=float, default=1.0, metavar="N", help="as the table shows scores: percentage points")
    add(
        "--max-task-size", type=int, metavar="N",
        help="cost (rows x choices, rows x output length) above which a dataset is split into shards "
        "(default: at most 20000, less where four workers, or as many as there are, would wait for one at the end)",
    )  # fmt: skip
    parser.addini("modelgate_models", "models when none is named", type="args")
    parser.addini("modelgate_datasets", "datasets when none is named (default: all that ship)", type="args")
    parser.addini("modelgate_rows", "folder of the rows that ship", type="paths")


@dataclass(frozen=True)
class LanguageOptions:
    """Resolved options of the language cases.

    Attributes:
        models: what is asked, in the order of the table's columns.
        datasets: names; empty for all that ship.
        config: what configuration files say besides.
        min_scores: by ``dataset`` or ``model/dataset``.
        max_task_size: cost above which a dataset is split; None where the run decides.
        workers: processes that run cases.
    """

    models: tuple[ModelConfig, ...]
    datasets: tuple[str, ...]
    config: RunConfig
    dataset_dirs: tuple[Path, ...]
    data: str
    own_rows: Path
    limit: int | None
    mode: str
    reuse: str | None
    reference: str | None
    margin: float
    min_scores: dict[str, float]
    max_task_size: int | None
    api_concurrency: int
    workers: int = 1

    def required(self, model: str, dataset: str) -> float | None:
        """Return the score that a combination must reach: the command line's, else the configuration's."""
        for scores in (self.min_scores, self.config.min_scores):
            for key in (f"{model}/{dataset}", dataset):
                if key in scores:
                    return scores[key]
        return None


def resolve(config: pytest.Config) -> LanguageOptions:
    """Resolve and check the options.

    Raises:
        pytest.UsageError: when a value cannot be used, naming the option, the value and what was expected.
    """
    get = config.getoption
    try:
        read = read_config([local_path(name, config) for name in words(get("config"))])
        models = _models(get, read, config)
    except (ModelProblem, KeyError) as problem:  # a KeyError of the catalogue names the nearest models
        raise pytest.UsageError(str(problem.args[0])) from problem
    data = get("data")
    if data not in (OWN, HUB):
        data = str(local_path(data, config))
        if not Path(data).is_dir():
            raise pytest.UsageError(f"--data {data}: no such folder; expected own, hub or a folder with rows")
    for name, least in (("limit", 1), ("max_task_size", 1), ("margin", 0), ("api_concurrency", 1)):
        value = get(name)
        if value is not None and not value >= least:
            raise pytest.UsageError(f"--{name.replace('_', '-')} {value}: expected at least {least}")
    mode, reuse = get("mode"), get("reuse")
    if mode in ("eval", "viz") and reuse is None:
        raise pytest.UsageError(
            f"--mode {mode}: expected a run to evaluate; name it with --reuse latest|RUN|DIR"
        )
    own = config.getini("modelgate_rows")
    return LanguageOptions(
        models=models,
        datasets=words(get("datasets")) or read.datasets or tuple(config.getini("modelgate_datasets")),
        config=read,
        dataset_dirs=tuple(local_path(name, config) for name in words(get("dataset_dir"))),
        data=data,
        own_rows=own[0] if own else Path("fixtures/datasets/language"),
        limit=get("limit"),
        mode=mode,
        reuse=reuse,
        reference=get("reference"),
        margin=get("margin"),
        min_scores=_min_scores(words(get("min_score"))),
        max_task_size=get("max_task_size"),
        api_concurrency=get("api_concurrency"),
        workers=worker_count(config),
    )


def find_run(name: str, work_dir: Path, option: str) -> Path:
    """Return the directory of an earlier run: ``latest``, the name of a run in the work directory, or a path.

    Raises:
        pytest.UsageError: when there is none.
    """
    for path in (work_dir / name, Path(name).expanduser()):
        if (path / "predictions").is_dir():
            return path.resolve()
    runs = sorted(path.parent.name for path in work_dir.glob("*/predictions") if path.parent.name != "latest")
    raise pytest.UsageError(
        f"{option} {name}: no such run in {work_dir}, and no directory of a run; "
        f"found {', '.join(runs[-3:]) or 'none'} there"
    )


def _models(get: Any, read: RunConfig, config: pytest.Config) -> tuple[ModelConfig, ...]:
    named = [MODELS[name] for name in words(get("models"))]
    common = {
        name: value for name in ("max_seq_len", "max_out_len", "dtype") if (value := get(name)) is not None
    }
    if get("batch_size") is not None:
        common["batch_size"] = get("batch_size")
    if get("hf_path") or get("api_base"):
        path = get("hf_path")
        if path and local_path(path, config).is_dir():
            path = str(local_path(path, config))
        named.append(
            from_options(
                hf_path=path,
                hf_type=get("hf_type"),
                tokenizer_path=get("tokenizer_path"),
                peft_path=get("peft_path"),
                model_kwargs=get("model_kwargs") or (),
                tokenizer_kwargs=get("tokenizer_kwargs") or (),
                generation_kwargs=get("generation_kwargs") or (),
                api_base=get("api_base"),
                api_model=get("api_model"),
            )
        )
    elif any(
        get(name) for name in ("tokenizer_path", "peft_path", "model_kwargs", "tokenizer_kwargs", "api_model")
    ):
        raise pytest.UsageError(
            "an option says how to load a model, but none is named; give --hf-path or --api-base"
        )
    chosen = named or list(read.models) or [MODELS[name] for name in config.getini("modelgate_models")]
    names = [model.name for model in chosen]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise pytest.UsageError(
            f"model {twice!r} is named twice; leave one out, or give it another name in a --config"
        )
    if not common:
        return tuple(chosen)
    if common.get("batch_size", "auto") != "auto":
        common["batch_size"] = int(common["batch_size"])
    return tuple(replace(model, **common) for model in chosen)


def _min_scores(pairs: Iterable[str]) -> dict[str, float]:
    scores = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        try:
            scores[name] = float(text)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise pytest.UsageError(
                f"--min-score {pair}: expected [MODEL/]DATASET=NUMBER, such as siqa_gen=60"
            )
    return scores
