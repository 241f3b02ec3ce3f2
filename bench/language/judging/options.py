"""Options of the judge. Importing this imports no framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from bench.core.errors import LanguageProblem, ModelProblem, UsageProblem
from bench.core.names import safe_name
from bench.core.options import Setting, option
from bench.core.registry import no_such
from bench.language.judging.declared import Pairwise
from bench.language.models.catalog import MODELS
from bench.language.models.config import ModelConfig, parse_kwargs
from bench.language.spec import Dataset


@dataclass(frozen=True)
class JudgeOptions:
    """Options as they are given."""

    judge_base: str | None = option(
        "an OpenAI-compatible server with the model that judges open answers",
        metavar="URL",
        ini=None,
        once=True,
    )
    judge_model: str | None = option(
        "the name by which that server knows the judge; without --judge-base, a model of a --config or a registered one",
        metavar="NAME", ini=None, once=True,
    )  # fmt: skip
    judge_kwargs: dict[str, str] = option(
        "further fields of the requests to --judge-base",
        {},
        metavar="KEY=VALUE",
        ini=None,
        example="top_p=0.9",
    )


def resolve_judge(
    raw: JudgeOptions, setting: Setting, configured: Sequence[ModelConfig]
) -> ModelConfig | None:
    """Return the model that judges; None if none is named.

    Args:
        raw: options as they are given.
        setting: of the run.
        configured: models of configuration files.

    Raises:
        UsageProblem: options that name no judge, or one that no server holds.
    """
    if raw.judge_model is None:
        idle = [
            f"--{one.name.replace('_', '-')}" for one in fields(JudgeOptions) if one.name in setting.given
        ]
        if idle:
            raise UsageProblem(
                f"{', '.join(idle)}: found no name of the judge; give it with --judge-model, or leave them out"
            )
        return None
    if raw.judge_base is None:
        return _named(raw, configured)
    from bench.language.server.transport import base_url  # noqa: PLC0415  imports requests

    try:
        base_url(raw.judge_base)
        return ModelConfig(
            name=safe_name(raw.judge_model.rstrip("/").rsplit("/", 1)[-1]), path=raw.judge_model, type="chat",
            backend="server", api_base=raw.judge_base,
            generation_kwargs=parse_kwargs([f"{key}={value}" for key, value in raw.judge_kwargs.items()]),
        )  # fmt: skip
    except ModelProblem as problem:
        words = str(problem).replace("--api-base", "--judge-base")
        words = words.replace("--max-out-len", "max_out_len of the judge in the dataset's file")
        raise UsageProblem(f"judge {raw.judge_model}: {words}") from problem


def _named(raw: JudgeOptions, configured: Sequence[ModelConfig]) -> ModelConfig:
    name = str(raw.judge_model)
    known: Mapping[str, ModelConfig] = {**dict(MODELS.items()), **{model.name: model for model in configured}}
    if name not in known:
        raise UsageProblem(
            f"--judge-model {name}: {no_such('model', name, sorted(known))}; correct it, or give its server with "
            "--judge-base"
        )
    if known[name].backend != "server":
        raise UsageProblem(
            f"--judge-model {name}: found a model that is loaded here, expected one behind a server, which can judge next "
            "to the model that is judged; serve it, and give its address with --judge-base"
        )
    if raw.judge_kwargs:
        raise UsageProblem(
            "--judge-kwargs: found a judge of a configuration, expected --judge-base with it; set generation_kwargs there"
        )
    return known[name]


def judge_problem(dataset: Dataset, judge: ModelConfig | None, *, has_reference: bool) -> str | None:
    """Return why the answers of a dataset cannot be judged in a run; None if they can be, or need not be.

    Args:
        dataset: with or without a judge.
        judge: of the run.
        has_reference: whether the run names an earlier one.
    """
    judging = dataset.judge
    if judging is None:
        return None
    if judge is None:
        return (
            f"found no judge, expected one for metrics {', '.join(judging.metrics)}; give --judge-base URL and "
            "--judge-model NAME"
        )
    if isinstance(judging, Pairwise) and judging.against is None and not has_reference:
        return (
            "found no answers to compare with, expected those of a run or of a field; give --reference RUN, or declare "
            "Pairwise(against=...)"
        )
    return None


def refuse_idle_judge(judge: ModelConfig | None, datasets: Sequence[str]) -> None:
    """Refuse a judge whom no dataset asks.

    Args:
        judge: of the run.
        datasets: names of those that are run.

    Raises:
        UsageProblem: none of them declares a judge.
    """
    from bench.language.library import DATASETS, load_dataset  # noqa: PLC0415  a cycle otherwise

    if judge is None:
        return
    for name in datasets:
        try:
            if name in DATASETS and load_dataset(name).judge is not None:
                return
        except LanguageProblem:
            return  # its own case says what is wrong
    raise UsageProblem(
        f"--judge-model {judge.name}: found no dataset that declares a judge, expected one; add judge=Rubric(...) or "
        "judge=Pairwise(...) to a dataset's file, or leave it out"
    )
