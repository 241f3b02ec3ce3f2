"""The models that have a name of their own: ``--models hf_opt_125m``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.core.registry import no_such
from bench.language.models.config import ModelConfig

_REPOSITORY = Path(__file__).resolve().parents[3]


class Catalog(Mapping[str, ModelConfig]):
    """Model configurations by name, in the order in which they were added; a name is taken once."""

    def __init__(self) -> None:
        self._configs: dict[str, ModelConfig] = {}
        self._places: dict[str, str] = {}

    def add(self, config: ModelConfig) -> ModelConfig:
        """Add a configuration and return it.

        Raises:
            ValueError: when the name is taken; the message names both places.
        """
        caller = sys._getframe(1)
        place = f"{caller.f_code.co_filename}:{caller.f_lineno}"
        if config.name in self._configs:
            raise ValueError(
                f"model {config.name!r} is registered twice: in {self._places[config.name]} and in {place}; rename one"
            )
        self._configs[config.name], self._places[config.name] = config, place
        return config

    def __getitem__(self, name: str) -> ModelConfig:
        """Return the configuration of a name.

        Raises:
            KeyError: with the nearest names.
        """
        if name not in self._configs:
            raise KeyError(
                f"{no_such('model', name, self._configs)}; a model without a name here is given with --hf-path"
            )
        return self._configs[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in the order in which they were added."""
        return iter(self._configs)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._configs)


MODELS = Catalog()

MODELS.add(ModelConfig("tiny_lm", str(_REPOSITORY / "fixtures" / "zoo" / "tiny-lm"), dtype="float32"))

MODELS.add(ModelConfig("hf_opt_125m", "facebook/opt-125m"))
MODELS.add(ModelConfig("hf_gpt2", "openai-community/gpt2"))
MODELS.add(ModelConfig("hf_pythia_160m", "EleutherAI/pythia-160m"))
MODELS.add(ModelConfig("hf_llama_7b", "huggyllama/llama-7b"))
MODELS.add(ModelConfig("hf_llama2_7b", "meta-llama/Llama-2-7b-hf"))
MODELS.add(ModelConfig("hf_llama2_7b_chat", "meta-llama/Llama-2-7b-chat-hf", type="chat"))
MODELS.add(ModelConfig("hf_llama3_8b", "meta-llama/Meta-Llama-3-8B"))
MODELS.add(ModelConfig("hf_llama3_8b_instruct", "meta-llama/Meta-Llama-3-8B-Instruct", type="chat"))
MODELS.add(ModelConfig("hf_llama3_2_1b", "meta-llama/Llama-3.2-1B"))
MODELS.add(ModelConfig("hf_mistral_7b_v0_1", "mistralai/Mistral-7B-v0.1"))
MODELS.add(ModelConfig("hf_mistral_7b_instruct_v0_3", "mistralai/Mistral-7B-Instruct-v0.3", type="chat"))
MODELS.add(ModelConfig("hf_qwen2_5_0_5b", "Qwen/Qwen2.5-0.5B"))
MODELS.add(ModelConfig("hf_qwen2_5_7b_instruct", "Qwen/Qwen2.5-7B-Instruct", type="chat"))
MODELS.add(ModelConfig("hf_qwen3_0_6b", "Qwen/Qwen3-0.6B", type="chat"))
MODELS.add(ModelConfig("hf_gemma2_2b", "google/gemma-2-2b"))
MODELS.add(ModelConfig("hf_gemma2_2b_it", "google/gemma-2-2b-it", type="chat"))
MODELS.add(ModelConfig("hf_phi3_mini", "microsoft/Phi-3-mini-4k-instruct", type="chat"))
# Its code is on the hub beside its weights, so that loading it runs that code.
MODELS.add(ModelConfig("hf_internlm2_7b", "internlm/internlm2-7b", model_kwargs={"trust_remote_code": True}))
