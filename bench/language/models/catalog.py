"""The models that have a name: ``--models hf_opt_125m``. A user's file adds to them by `language_model`."""

from __future__ import annotations

from bench.core.registry import Registry, caller_place
from bench.language.models.config import ModelConfig

MODELS: Registry[ModelConfig] = Registry("model", "a model without a name here is given with --hf-path")


def language_model(config: ModelConfig) -> ModelConfig:
    """Register a model under the name of its configuration and return the configuration.

    Raises:
        ValueError: the name is taken; the message names both places.

    Example, in a file of a ``--user-dir`` folder::

        language_model(ModelConfig("my_lm", "/models/my-lm", dtype="bfloat16"))
    """
    return MODELS.add(config.name, config, place=caller_place())


language_model(ModelConfig("hf_opt_125m", "facebook/opt-125m"))
language_model(ModelConfig("hf_gpt2", "openai-community/gpt2"))
language_model(ModelConfig("hf_pythia_160m", "EleutherAI/pythia-160m"))
language_model(ModelConfig("hf_llama_7b", "huggyllama/llama-7b"))
language_model(ModelConfig("hf_llama2_7b", "meta-llama/Llama-2-7b-hf"))
language_model(ModelConfig("hf_llama2_7b_chat", "meta-llama/Llama-2-7b-chat-hf", type="chat"))
language_model(ModelConfig("hf_llama3_8b", "meta-llama/Meta-Llama-3-8B"))
language_model(ModelConfig("hf_llama3_8b_instruct", "meta-llama/Meta-Llama-3-8B-Instruct", type="chat"))
language_model(ModelConfig("hf_llama3_2_1b", "meta-llama/Llama-3.2-1B"))
language_model(ModelConfig("hf_mistral_7b_v0_1", "mistralai/Mistral-7B-v0.1"))
language_model(ModelConfig("hf_mistral_7b_instruct_v0_3", "mistralai/Mistral-7B-Instruct-v0.3", type="chat"))
language_model(ModelConfig("hf_qwen2_5_0_5b", "Qwen/Qwen2.5-0.5B"))
language_model(ModelConfig("hf_qwen2_5_7b_instruct", "Qwen/Qwen2.5-7B-Instruct", type="chat"))
language_model(ModelConfig("hf_qwen3_0_6b", "Qwen/Qwen3-0.6B", type="chat"))
language_model(ModelConfig("hf_gemma2_2b", "google/gemma-2-2b"))
language_model(ModelConfig("hf_gemma2_2b_it", "google/gemma-2-2b-it", type="chat"))
language_model(ModelConfig("hf_phi3_mini", "microsoft/Phi-3-mini-4k-instruct", type="chat"))
# Its code is on the hub next to its weights, and loading it runs that code.
language_model(
    ModelConfig("hf_internlm2_7b", "internlm/internlm2-7b", model_kwargs={"trust_remote_code": True})
)
