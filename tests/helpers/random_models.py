"""Small models of random weights, made in memory, and what they write by themselves."""

from __future__ import annotations

import random

from bench.machine.torchvision_shim import ensure_torchvision

ensure_torchvision()
import torch  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM  # noqa: E402

VOCABULARY = 97
SMALL = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 48, "max_position_embeddings": 96, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GROUPED = {"num_key_value_heads": 2, "head_dim": 8}
ARCHITECTURES = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 96},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "llama": GROUPED,
    "qwen2": {"num_key_value_heads": 2},
    "qwen2-sliding": {
        "num_key_value_heads": 2,
        "use_sliding_window": True,
        "sliding_window": 12,
        "max_window_layers": 1,
    },
    "qwen3": GROUPED,
    "mistral": {**GROUPED, "sliding_window": None},
    "mistral-sliding": {**GROUPED, "sliding_window": 12},
    "gemma": GROUPED,
    "gemma2": {**GROUPED, "sliding_window": 12},
    "gpt_neox": {},
    "bloom": {"n_layer": 2, "n_head": 4},
    "gpt_neo": {
        "attention_types": [[["global", "local"], 1]],
        "num_layers": 2,
        "num_heads": 4,
        "window_size": 8,
    },
    # Recurrent states in place of keys and values.
    "mamba": {"state_size": 8, "conv_kernel": 3},
}


def make(name: str, seed: int = 0):
    torch.manual_seed(seed)
    config = AutoConfig.for_model(name.split("-", maxsplit=1)[0], **{**SMALL, **ARCHITECTURES[name]})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    for parameter in model.parameters():  # as initialised, attention hardly matters and a wrong mask hides
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.25)
    return model


def tokens(rng: random.Random, count: int) -> tuple[int, ...]:
    return tuple(rng.randrange(3, VOCABULARY) for _ in range(count))


class Letters:
    """A tokenizer with a letter a token."""

    eos_token_id = 2

    def __len__(self):
        return 100

    def convert_ids_to_tokens(self, ids):
        return [chr(0x40 + i) for i in ids]

    def decode(self, ids, skip_special_tokens=False):
        return "".join(chr(0x40 + i) for i in ids if not (skip_special_tokens and i < 3))

    def batch_decode(self, rows, skip_special_tokens=False):
        return [self.decode(row) for row in rows]


def written_alone(model, prompt: tuple[int, ...], count: int) -> list[int]:
    """Write greedily without any cache, one forward over the whole text for each token."""
    text = list(prompt)
    with torch.inference_mode():
        while len(text) < len(prompt) + count and (
            len(text) == len(prompt) or text[-1] != Letters.eos_token_id
        ):
            text.append(int(model(torch.tensor([text]), use_cache=False).logits[0, -1].argmax()))
    return text[len(prompt) :]
