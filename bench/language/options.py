"""Options of the language cases, and what they resolve to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.core.case import Case
from bench.core.errors import ModelProblem, UsageProblem
from bench.core.options import Place, Setting, option
from bench.core.registry import no_such
from bench.core.runs import find_run
from bench.language.case import LanguageCase
from bench.language.config import RunConfig, read_config
from bench.language.harness.options import HarnessOptions, HarnessSettings, resolve_harness
from bench.language.judging.options import JudgeOptions, refuse_idle_judge, resolve_judge
from bench.language.models.catalog import MODELS
from bench.language.models.config import DTYPES, THINK_MARKS, ModelConfig, from_options, parse_batch_size
from bench.language.rows import HUB, OWN
from bench.language.spec import Generation
from bench.language.unread import parse_percent
from bench.language.vllm.options import expect_all_gpus

MODES = ("all", "infer", "eval", "viz")


@dataclass(frozen=True)
class LanguageOptions(HarnessOptions, JudgeOptions):
    """Options as they are given."""

    models: tuple[str, ...] = option("models by name", (), metavar="NAME")
    datasets: tuple[str, ...] = option(
        "datasets by name (default: all that are registered)", (), metavar="NAME"
    )
    config: tuple[Path, ...] = option(
        "Python files with lists `models` and `datasets`", (), metavar="FILE", ini=None
    )
    data: str = option(
        "where rows come from; `own` is those that ship", OWN, metavar="own|hub|DIR", once=True
    )
    rows: Path | None = option("folder of the rows that ship", flags=())
    limit: int | None = option(
        "rows of each dataset at most, drawn by --seed", metavar="N", least=1, once=True
    )
    hf_path: Place | None = option(
        "a model's directory or hub name", metavar="PATH|NAME", ini=None, once=True
    )
    hf_type: str = option(
        "whether prompts of --hf-path or --api-base go through the chat template", "base",
        choices=("base", "chat"), ini=None, once=True,
    )  # fmt: skip
    backend: str = option(
        "what asks the model of --hf-path: transformers, or an installed vLLM", "hf", choices=("hf", "vllm"), ini=None,
        once=True,
    )  # fmt: skip
    tokenizer_path: Place | None = option(
        "tokenizer of --hf-path, if it is not next to the model",
        metavar="PATH|NAME",
        ini=None,
        once=True,
    )
    peft_path: Place | None = option("adapter on --hf-path", metavar="PATH|NAME", ini=None, once=True)
    model_kwargs: dict[str, str] = option("further arguments of the model", {}, metavar="KEY=VALUE", ini=None)
    tokenizer_kwargs: dict[str, str] = option(
        "further arguments of the tokenizer", {}, metavar="KEY=VALUE", ini=None
    )
    generation_kwargs: dict[str, str] = option(
        "further arguments of the generation", {}, metavar="KEY=VALUE", ini=None, example="top_p=0.9"
    )
    system_prompt: str | None = option("system prompt of a chat model", metavar="TEXT", ini=None)
    chat_template_kwargs: dict[str, str] = option(
        "variables of the chat template", {}, metavar="KEY=VALUE", ini=None, example="enable_thinking=false"
    )
    few_shot: str = option(
        "in-context examples of a chat model: as turns, or as text of one turn", "turns", choices=("turns", "text"),
        ini=None,
    )  # fmt: skip
    think_marks: tuple[str, ...] = option(
        "what a thought begins and ends with; it is no part of the answer. `none` takes texts as they are "
        "(default: <think> </think>)", THINK_MARKS, metavar="MARK", ini=None,
    )  # fmt: skip
    repeats: int = option("answers that are drawn to each question of a generation", 1, metavar="N", least=1)
    max_seq_len: int | None = option(
        "tokens of prompt and answer together, at most (default: the model's limit)",
        metavar="N",
        least=1,
        once=True,
    )
    max_out_len: int | None = option(
        "new tokens at most (default: the dataset's limit)",
        metavar="N",
        least=1,
        once=True,
    )
    dtype: str | None = option("type of the weights (default: that of the file)", choices=DTYPES, once=True)
    api_base: str | None = option(
        "an OpenAI-compatible server in place of a local model",
        metavar="URL",
        ini=None,
        once=True,
    )
    api_model: str | None = option(
        "the name by which the server knows the model", metavar="NAME", ini=None, once=True
    )
    api_concurrency: int = option("parallel requests to a server", 8, metavar="N", least=1, once=True)
    mode: str = option(
        "infer only, evaluate or show stored predictions, or all", "all", choices=MODES, once=True
    )
    min_score: dict[str, float] = option(
        "required score, as the table shows it", {}, metavar="[MODEL/]DATASET=NUMBER", example="siqa_gen=60"
    )
    reference: str | None = option(
        "an earlier run that no score may be worse than by more than --margin",
        metavar="latest|RUN|DIR",
        once=True,
    )
    margin: float = option(
        "in the unit of the table: percentage points", 1.0, metavar="N", least=0, once=True
    )
    max_unparsed: str = option(
        "percentage of answers that cannot be read above which a score decides nothing", "20", metavar="PERCENT",
        example="20%", once=True,
    )  # fmt: skip
    max_task_size: int | None = option(
        "cost (rows x choices, rows x output length) above which a dataset is split into shards "
        "(default: at most 20000, and less if four workers, or as many as there are, would wait for one at the end)",
        metavar="N", least=1,
    )  # fmt: skip


@dataclass(frozen=True)
class LanguageSettings:
    """Options as they are used.

    Attributes:
        models: what is asked, in the order of the table's columns.
        datasets: names; empty is all that are registered.
        config: what configuration files say.
        data: ``own``, ``hub`` or an absolute path.
        rows: folder of the rows that ship.
        limit: rows of each dataset at most.
        mode: one of :data:`MODES`.
        reuse: run whose predictions are used where they fit.
        reference: run that no score may be worse than by more than `margin`.
        margin: in the unit of the table.
        min_scores: by ``dataset`` or ``model/dataset``.
        max_unparsed: percentage of unread answers above which a score decides nothing.
        max_task_size: cost above which a dataset is split; None is decided by the run.
        api_concurrency: parallel requests to a server.
        harness: tasks of lm-evaluation-harness; None if there are none.
        judge: the model that judges open answers; None if there is none.
        repeats: answers that are drawn to each question of a generation.
        given: names of the options that the command line gave.
    """

    models: tuple[ModelConfig, ...]
    datasets: tuple[str, ...] = ()
    config: RunConfig = field(default_factory=RunConfig)
    data: str = OWN
    rows: Path | None = None
    limit: int | None = None
    mode: str = "all"
    reuse: Path | None = None
    reference: Path | None = None
    margin: float = 1.0
    min_scores: dict[str, float] = field(default_factory=dict)
    max_task_size: int | None = None
    max_unparsed: float = 20.0
    api_concurrency: int = 8
    harness: HarnessSettings | None = None
    judge: ModelConfig | None = None
    repeats: int = 1
    given: frozenset[str] = frozenset()

    def required(self, model: str, dataset: str) -> float | None:
        """Return the score that a model must reach on a dataset: the option's, else the configuration's."""
        for scores in (self.min_scores, self.config.min_scores):
            for key in (f"{model}/{dataset}", dataset):
                if key in scores:
                    return scores[key]
        return None

    def model(self, name: str) -> ModelConfig:
        """Return the configuration of a model that is asked."""
        return next(model for model in self.models if model.name == name)


def resolve(raw: LanguageOptions, setting: Setting) -> LanguageSettings:
    """Return the options as they are used.

    Raises:
        UsageProblem: a value that cannot be used, or an option that does not apply with the others.
    """
    config = read_config(raw.config)
    judge = resolve_judge(raw, setting, config.models)
    models = _models(raw, setting, config)
    if raw.mode in ("all", "infer"):
        expect_all_gpus(models, setting)
    _refuse_idle(raw, setting, models)
    harness = resolve_harness(raw, setting, raw.repeats)
    data = raw.data
    if data not in (OWN, HUB):
        data = str(setting.local_path(data))
        if not Path(data).is_dir():
            raise UsageProblem(f"--data {data}: no such folder; expected own, hub or a folder with rows")
    given = setting.given
    datasets = raw.datasets if "datasets" in given else (config.datasets or raw.datasets)
    if harness is not None and "datasets" not in given:
        datasets = config.datasets  # tasks alone, and not all that is registered next to them
        if "data" in given and not datasets:
            raise UsageProblem(
                "--data: found only tasks of lm-evaluation-harness, expected datasets that it says the rows of; give "
                "--lm-eval-data, or leave it out"
            )
    return LanguageSettings(
        models=models,
        datasets=datasets,
        config=config,
        data=data,
        rows=raw.rows,
        limit=raw.limit,
        mode=raw.mode,
        reuse=None if setting.run.reuse is None else find_run(setting.run.reuse, "--reuse", setting),
        reference=None if raw.reference is None else find_run(raw.reference, "--reference", setting),
        margin=raw.margin,
        min_scores=raw.min_score,
        max_task_size=raw.max_task_size,
        max_unparsed=parse_percent(raw.max_unparsed, "--max-unparsed"),
        api_concurrency=raw.api_concurrency,
        harness=harness,
        judge=judge,
        repeats=raw.repeats,
        given=given,
    )


def check(settings: LanguageSettings, cases: Sequence[Case]) -> None:
    """Refuse options that name or concern nothing that is run.

    Args:
        settings: of the run.
        cases: those that are run.

    Raises:
        UsageProblem: a required score of no case, or limits of an output that no case has.
    """
    asked = [case for case in cases if isinstance(case, LanguageCase)]
    known = {name for case in asked for name in case.names if name != case.id}
    for given, scores in (
        ("--min-score ", settings.min_scores),
        (f"min_score in --config {', '.join(settings.config.files)}: ", settings.config.min_scores),
    ):
        for name, score in scores.items():
            if name not in known:
                raise UsageProblem(
                    f"{given}{name}={score:g}: {no_such('dataset that is run', name, sorted(known))}; correct the name, "
                    "or run that dataset"
                )
    refuse_idle_judge(settings.judge, [case.dataset for case in asked])
    modes = {case.mode for case in asked if case.problem is None}
    if modes and Generation().kind not in modes:
        for idle in ("max_out_len", "generation_kwargs", "max_unparsed", "repeats", "think_marks"):
            if idle in settings.given:
                raise UsageProblem(
                    f"{_flag(idle)}: applies to datasets with inference by generation (gen), and none of them is "
                    "run; leave it out, or run one of them too"
                )


_ONE_MODEL = (
    "hf_type", "backend", "tokenizer_path", "peft_path", "model_kwargs", "tokenizer_kwargs", "generation_kwargs",
    "api_model", "system_prompt", "chat_template_kwargs", "few_shot", "think_marks",
)  # fmt: skip
# Which options do nothing in which mode, and why.
_IDLE_IN_MODE = {
    "infer": (
        ("min_score", "reference", "margin", "max_unparsed", "judge_model"),
        "asks questions and evaluates nothing",
    ),
    "viz": (
        ("min_score", "reference", "margin", "limit", "data", "max_task_size", "max_unparsed", "judge_model"),
        "shows an earlier run's records as they are",
    ),
}


def _refuse_idle(raw: LanguageOptions, setting: Setting, models: Sequence[ModelConfig]) -> None:
    """Refuse options that do nothing with the others."""
    given = setting.given
    if raw.mode in ("eval", "viz") and setting.run.reuse is None:
        raise UsageProblem(
            f"--mode {raw.mode}: found no earlier run to read; name one with --reuse latest|RUN|DIR"
        )
    names, why = _IDLE_IN_MODE.get(raw.mode, ((), ""))
    for name in names:
        if name in given:
            raise UsageProblem(f"{_flag(name)}: --mode {raw.mode} {why}; leave it out, or give --mode eval")
    if "margin" in given and raw.reference is None:
        raise UsageProblem(
            "--margin: found no run to compare with; name one with --reference, or leave it out"
        )
    greedy = [model.name for model in models if not model.samples]
    if raw.repeats > 1 and greedy:
        raise UsageProblem(
            f"--repeats {raw.repeats}: {', '.join(greedy)} would give the same answer each time; add sampling, for example "
            "--generation-kwargs do_sample=True temperature=0.7 (temperature=0.7 alone for a server), or leave --repeats out"
        )
    if "few_shot" in given and all(model.type == "base" for model in models):
        raise UsageProblem(
            "--few-shot: found base models only, which have no turns; give --hf-type chat, or leave it out"
        )
    served = [model.backend == "server" for model in models]
    if "api_concurrency" in given and not any(served) and raw.judge_model is None:
        raise UsageProblem(
            "--api-concurrency: found no model behind a server; give --api-base and --api-model, or leave it out"
        )
    if "dtype" in given and all(served):
        raise UsageProblem(
            "--dtype: found only models behind servers, which load their weights themselves; leave it out"
        )


def _models(raw: LanguageOptions, setting: Setting, config: RunConfig) -> tuple[ModelConfig, ...]:
    """Return the models that the command line names, else those of configuration files, else those of the ini file."""
    try:
        named = [_named(name) for name in raw.models] if "models" in setting.given else []
        named += _one_model(raw, setting)
        of_config = [model for model in config.models if raw.judge_base or model.name != raw.judge_model]
        chosen = named or of_config or [_named(name) for name in raw.models]
        chosen = [_adjusted(model, raw, setting.run.batch_size) for model in chosen]
    except ModelProblem as problem:
        raise UsageProblem(str(problem)) from problem
    if not chosen:
        raise UsageProblem(
            f"found no model, expected at least one; name it with --models ({', '.join(list(MODELS)[:3])}, ...), "
            "--hf-path or --api-base"
        )
    names = [model.name for model in chosen]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageProblem(
            f"model {twice!r} is named twice; leave one out, or give it another name in a --config"
        )
    return tuple(chosen)


def _named(name: str) -> ModelConfig:
    if name not in MODELS:
        raise UsageProblem(f"--models {name}: {MODELS.unknown(name)}")
    return MODELS[name]


def _one_model(raw: LanguageOptions, setting: Setting) -> list[ModelConfig]:
    """Return the model that --hf-path or --api-base names, in a list that is empty if neither does."""
    if raw.hf_path is None and raw.api_base is None:
        idle = [_flag(name) for name in _ONE_MODEL if name in setting.given]
        if idle:
            raise UsageProblem(
                f"{', '.join(idle)}: found no model that it applies to; it says how the model of --hf-path or --api-base "
                "is loaded or asked; name one, or set the fields of a model in a --config"
            )
        return []
    return [
        from_options(
            hf_path=raw.hf_path,
            hf_type=raw.hf_type,
            backend=raw.backend,
            tokenizer_path=raw.tokenizer_path,
            peft_path=raw.peft_path,
            model_kwargs=_pairs(raw.model_kwargs),
            tokenizer_kwargs=_pairs(raw.tokenizer_kwargs),
            generation_kwargs=_pairs(raw.generation_kwargs),
            api_base=raw.api_base,
            api_model=raw.api_model,
            system_prompt=raw.system_prompt,
            chat_template_kwargs=_pairs(raw.chat_template_kwargs),
            few_shot=raw.few_shot,
            think_marks=raw.think_marks,
        )
    ]


def _adjusted(model: ModelConfig, raw: LanguageOptions, batch_size: str | None) -> ModelConfig:
    """Return a model with the fields that the options set for every model."""
    return replace(
        model,
        max_seq_len=model.max_seq_len if raw.max_seq_len is None else raw.max_seq_len,
        max_out_len=model.max_out_len if raw.max_out_len is None else raw.max_out_len,
        dtype=model.dtype if raw.dtype is None or model.backend == "server" else raw.dtype,
        batch_size=model.batch_size if batch_size is None else parse_batch_size(batch_size),
    )


def _pairs(values: dict[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in values.items()]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
