"""Small chat models: tokenizers with a template and a start token, and a model that writes what it is told to."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from small_models import save_model
from transformers import AutoTokenizer

TEMPLATE = (
    "{{ START }}{% for message in messages %}[{{ message['role'] }}]{{ message['content'] }}[end]\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% if thinking is defined and thinking %}<think>\n{% endif %}{% endif %}"
)


def save_chat_model(directory: Path, *, writes_start: bool = False, adds_start: bool = False) -> Path:
    """Save a small random model whose tokenizer has a chat template.

    Args:
        directory: where to.
        writes_start: whether the template begins with the start token.
        adds_start: whether the tokenizer begins each text with it.
    """
    from tokenizers.processors import TemplateProcessing

    save_model(directory)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    tokenizer.chat_template = TEMPLATE.replace("{{ START }}", "{{ bos_token }}" if writes_start else "")
    if adds_start:
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", 1)]
        )
    tokenizer.save_pretrained(directory)
    return directory


class Scripted:
    """Stands for a model of transformers that writes given texts, token by token, until a criterion stops it."""

    def __init__(self, tokenizer: Any, texts: list[str]) -> None:
        self.device, self.generation_config, self.steps = torch.device("cpu"), SimpleNamespace(), 0
        end = [tokenizer.eos_token_id]
        self._rows = [tokenizer(text, add_special_tokens=False)["input_ids"] + end for text in texts]

    def generate(self, input_ids, max_new_tokens, stopping_criteria, pad_token_id, **_):
        ended = torch.zeros(len(input_ids), dtype=torch.bool)
        for step in range(max_new_tokens):
            self.steps += 1
            new = [row[step] if step < len(row) else pad_token_id for row in self._rows]
            new = torch.where(ended, torch.tensor(pad_token_id), torch.tensor(new))
            input_ids = torch.cat([input_ids, new[:, None]], dim=1)
            finished = torch.tensor([step + 1 >= len(row) for row in self._rows])
            ended = ended | stopping_criteria(input_ids, None) | finished
            if bool(ended.all()):
                break
        return input_ids
