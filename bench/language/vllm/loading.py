"""From a model's configuration to the arguments of ``vllm.LLM``, and to an engine that is loaded."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Mapping
from typing import Any

from bench.core.errors import ModelProblem
from bench.language.models.config import ModelConfig
from bench.language.models.loading import LoadedModel, load_tokenizer, positions_of, reads_at_most
from bench.language.models.sources import ModelSources, attempt
from bench.language.vllm.engine import OneEngine, VllmEngine
from bench.language.vllm.parallel import PARALLEL, gpus_of, placed
from bench.language.vllm.replicas import Replicas
from bench.language.vllm.sampling import VllmSampling

# vLLM scores a token by feeding it, and writes at least one more: two places more than transformers needs.
EXTRA = 2
_ELSEWHERE = {
    "model": "--hf-path",
    "tokenizer": "--tokenizer-path",
    "tokenizer_revision": "--tokenizer-path of a directory",
    "max_model_len": "--max-seq-len",
    "max_num_seqs": "--batch-size",
    "seed": "--seed",
    **dict.fromkeys(("enable_lora", "max_lora_rank"), "a merged model: see peft's merge_and_unload"),
    **dict.fromkeys(
        ("skip_tokenizer_init", "logprobs_mode", "generation_config", "max_logprobs", "runner", "convert", "task"),
        "nothing: the suite needs vLLM's default or sets it",
    ),
    **dict.fromkeys(
        ("data_parallel_rank", "data_parallel_backend", "data_parallel_size_local", "data_parallel_start_rank"),
        "data_parallel_size alone: each replica is an engine of its own",
    ),
}  # fmt: skip


def load_engine(config: ModelConfig, device: str) -> tuple[LoadedModel, VllmEngine]:
    """Load a model by vLLM. Arguments of the generation are tried before, since loading takes minutes.

    Returns:
        The model as backends take it, with its ``generation_config`` as the model, and the engine itself.

    Raises:
        ModelProblem: no vLLM, no GPU or too few, a path without a model, arguments that it does not take, or whatever
            vLLM raises.
        LanguageProblem: arguments of the generation that vLLM does not take.
    """
    _expect_vllm(config)
    kwargs = dict(config.model_kwargs)
    _refuse_elsewhere(config, kwargs)
    replicas, each = gpus_of(config)
    kwargs.pop("data_parallel_size", None)
    devices = _devices(config, device, replicas, each)
    sources = ModelSources.of(config)
    tokenizer = load_tokenizer(config, sources)
    own = _own_config(config, sources)
    asked = reads_at_most(config, own, tokenizer) if config.max_seq_len is not None else None
    defaults = generation_defaults(sources, own)
    VllmSampling(config.generation_kwargs, defaults, tokenizer.eos_token_id)
    arguments = engine_arguments(config, kwargs, sources, own)
    engine: VllmEngine = attempt(
        config,
        f"load the model {config.path} by vLLM",
        "expected a model and arguments that vLLM takes, and free memory of the GPU; correct --model-kwargs, lower "
        "gpu_memory_utilization there, or use --backend hf",
        lambda: Replicas(arguments, devices) if devices else OneEngine(arguments),
    )
    return (
        LoadedModel(
            model=defaults,
            tokenizer=tokenizer,
            config=config,
            fingerprint=f"{sources.fingerprint()}+engine=vllm-{_version()}",
            max_seq_len=engine.facts.reads if asked is None else min(asked, engine.facts.reads),
            device="cuda",
            dtype=engine.facts.dtype,
        ),
        engine,
    )


def generation_defaults(sources: ModelSources, own: Any) -> Any:
    """Return a model's own ``generation_config``, as transformers finds it.

    Args:
        sources: where the model is.
        own: the configuration that the model comes with.
    """
    import transformers  # noqa: PLC0415

    kind: Any = transformers.GenerationConfig
    try:
        return kind.from_pretrained(sources.model.location, **sources.model.revision)
    except OSError:  # it has none
        return kind.from_model_config(own)


def engine_arguments(
    config: ModelConfig, kwargs: Mapping[str, Any], sources: ModelSources, own: Any
) -> dict[str, Any]:
    """Return the arguments of ``vllm.LLM``.

    Args:
        config: what is asked for.
        kwargs: of it that belong to vLLM.
        sources: where the model is.
        own: the configuration that the model comes with.
    """
    tokenizer = sources.tokenizer or sources.model
    arguments: dict[str, Any] = {
        "model": sources.model.location,
        "tokenizer": tokenizer.location,
        "dtype": _dtype(config, kwargs, own),
        "trust_remote_code": False,
        # Its own values of sampling and its end tokens are read here, and by the same rules as for transformers.
        "generation_config": "vllm",
        "seed": 0,
    }
    if sources.model.commit is not None:
        arguments["revision"] = sources.model.commit
    if tokenizer.commit is not None:
        arguments["tokenizer_revision"] = tokenizer.commit
    if config.max_seq_len is not None:
        positions = positions_of(own)
        wanted = config.max_seq_len + EXTRA
        arguments["max_model_len"] = wanted if positions is None else min(wanted, positions)
    if config.batch_size != "auto":
        arguments["max_num_seqs"] = config.batch_size
    return {**arguments, **kwargs}


def _dtype(config: ModelConfig, kwargs: Mapping[str, Any], own: Any) -> str:
    """Return the type of the weights. vLLM's ``auto`` halves float32; here ``auto`` is the type of the file."""
    saved = str(getattr(own, "dtype", None)).removeprefix("torch.")
    quantized = "quantization" in kwargs or getattr(own, "quantization_config", None) is not None
    return "float32" if config.dtype == "auto" and saved == "float32" and not quantized else config.dtype


def _own_config(config: ModelConfig, sources: ModelSources) -> Any:
    import transformers  # noqa: PLC0415

    trusted = bool(config.model_kwargs.get("trust_remote_code", False))
    return attempt(
        config,
        f"read the configuration of {config.path}",
        "expected a config.json in the form of transformers; remove the cause",
        lambda: transformers.AutoConfig.from_pretrained(
            sources.model.location, **sources.model.revision, trust_remote_code=trusted
        ),
    )


def _expect_vllm(config: ModelConfig) -> None:
    if importlib.util.find_spec("vllm") is None:
        raise ModelProblem(
            f"model {config.name}: found no vLLM for backend 'vllm', expected it to be installed; run `pip install vllm` in "
            "this environment, or use --backend hf"
        )
    if config.peft_path is not None:
        raise ModelProblem(
            f"model {config.name}: found an adapter {config.peft_path} with backend 'vllm', expected the model alone; merge "
            "the adapter into the model, or use --backend hf"
        )


def _devices(config: ModelConfig, device: str, replicas: int, each: int) -> list[str]:
    import torch  # noqa: PLC0415

    from bench.machine.environment import gpu_count  # noqa: PLC0415

    if device != "cuda":
        raise ModelProblem(
            f"model {config.name}: found --device {device} with backend 'vllm', expected a GPU; give --device cuda "
            "where there is one, or use --backend hf"
        )
    count, visible = gpu_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(number) for number in range(count)]
    if visible is not None:
        names = [name.strip() for name in visible.split(",") if name.strip()][:count]
    if replicas * each > count:
        raise ModelProblem(
            f"model {config.name}: found {count} visible GPUs, expected {replicas * each} for backend 'vllm' "
            f"({replicas} replicas of {each}); check CUDA_VISIBLE_DEVICES, or lower {', '.join(PARALLEL)} in "
            "--model-kwargs"
        )
    cuda: Any = torch.cuda
    current = cuda.current_device() if cuda.is_initialized() else 0
    return placed(names, replicas, each, current)


def _refuse_elsewhere(config: ModelConfig, kwargs: Mapping[str, Any]) -> None:
    for name, place in _ELSEWHERE.items():
        if name in kwargs:
            raise ModelProblem(
                f"model {config.name}: found {name}={kwargs[name]!r} in --model-kwargs for vLLM; give it as {place}"
            )


def _version() -> str:
    try:
        return importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
