"""How many GPUs a model of vLLM takes, and which. Imports no framework."""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.errors import ModelProblem
from bench.language.models.config import ModelConfig

PARALLEL = ("data_parallel_size", "tensor_parallel_size", "pipeline_parallel_size")


def gpus_of(config: ModelConfig) -> tuple[int, int]:
    """Return how many replicas a model has, and how many GPUs each of them is spread over.

    Raises:
        ModelProblem: a number that is none.
    """
    replicas, tensor, pipeline = (_positive(config, name) for name in PARALLEL)
    return replicas, tensor * pipeline


def _positive(config: ModelConfig, name: str) -> int:
    value = config.model_kwargs.get(name, 1)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ModelProblem(
            f"model {config.name}: found {name}={value!r} in --model-kwargs, expected a positive whole number; change it"
        )
    return value


def placed(visible: Sequence[str], replicas: int, each: int, current: int) -> list[str]:
    """Return the GPUs of each replica, as values of ``CUDA_VISIBLE_DEVICES``; empty where vLLM's own choice is right.

    Args:
        visible: names of the GPUs that this process may use.
        replicas: engines.
        each: GPUs of an engine.
        current: index of the GPU that the case has; with more than one, it has all.
    """
    first = current if replicas * each == 1 else 0
    if replicas == 1 and first == 0:
        return []  # in this process, vLLM takes the first ones
    return [",".join(visible[first + number * each :][:each]) for number in range(replicas)]
