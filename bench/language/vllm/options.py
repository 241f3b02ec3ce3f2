"""What options have to say for models of vLLM. Imports no framework."""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.errors import ModelProblem, UsageProblem
from bench.core.options import Setting
from bench.language.models.config import ModelConfig
from bench.language.vllm.parallel import gpus_of


def expect_all_gpus(models: Sequence[ModelConfig], setting: Setting) -> None:
    """Refuse a model on several GPUs in a run whose cases have one each.

    Raises:
        UsageProblem: with the option that gives a case all GPUs; or a number of GPUs that is none.
    """
    for model in models:
        if model.backend != "vllm":
            continue
        try:
            replicas, each = gpus_of(model)
        except ModelProblem as problem:
            raise UsageProblem(str(problem)) from problem
        if replicas * each > 1 and not setting.run.exclusive:
            raise UsageProblem(
                f"model {model.name}: found {replicas * each} GPUs for it ({replicas} replicas of {each}) in a run whose "
                "cases have one GPU each; give --exclusive, with which a case has all of them"
            )
