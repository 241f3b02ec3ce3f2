"""Stands for vLLM: its public interface for offline inference, on a model of transformers.

It refuses what vLLM refuses, and says in a file which arguments and which GPUs each engine was given.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypedDict

LOG = "VLLM_STAND_IN_LOG"
_ARGUMENTS = {
    "tokenizer", "tokenizer_mode", "trust_remote_code", "tensor_parallel_size", "pipeline_parallel_size", "dtype",
    "quantization", "revision", "tokenizer_revision", "seed", "gpu_memory_utilization", "enforce_eager", "max_model_len",
    "max_num_seqs", "generation_config", "download_dir", "enable_prefix_caching",
}  # fmt: skip


class TokensPrompt(TypedDict):
    prompt_token_ids: list[int]


@dataclass(kw_only=True)
class SamplingParams:
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop: list[str] = field(default_factory=list)
    stop_token_ids: list[int] = field(default_factory=list)
    max_tokens: int = 16
    min_tokens: int = 0
    prompt_logprobs: int | None = None
    detokenize: bool = True
    skip_special_tokens: bool = True

    def __post_init__(self):
        if self.temperature < 0:
            raise ValueError(f"temperature must be non-negative, got {self.temperature}.")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}.")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p must be in [0, 1], got {self.min_p}.")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {self.max_tokens}.")
        if self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens must be at most {self.max_tokens}, got {self.min_tokens}.")
        if self.stop and not self.detokenize:
            raise ValueError("stop strings are only supported when detokenize is True.")
        if not all(self.stop):
            raise ValueError("stop cannot contain an empty string.")


@dataclass
class Logprob:
    logprob: float
    rank: int
    decoded_token: str | None = None


class LLM:
    def __init__(self, model: str, **arguments: Any) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if LOG in os.environ:
            with open(os.environ[LOG], "a") as log:
                log.write(json.dumps([os.environ.get("CUDA_VISIBLE_DEVICES"), model, arguments]) + "\n")
        if arguments.get("data_parallel_size", 1) > 1:
            raise ValueError(
                "LLM(data_parallel_size) is not supported for single-process usage and may hang."
            )
        unknown = arguments.keys() - _ARGUMENTS
        if unknown:
            raise TypeError(f"EngineArgs.__init__() got an unexpected keyword argument {min(unknown)!r}")
        if arguments.get("gpu_memory_utilization", 0.9) > 1:
            raise ValueError("GPU memory utilization must be less than 1.0.")
        dtype = arguments.get("dtype", "auto")
        self._model = AutoModelForCausalLM.from_pretrained(model, dtype="auto").eval()
        saved = str(self._model.dtype).removeprefix("torch.")
        dtype = ("float16" if saved == "float32" else saved) if dtype == "auto" else dtype
        self._model = self._model.to(getattr(torch, dtype))
        self._tokenizer = AutoTokenizer.from_pretrained(arguments.get("tokenizer") or model)
        positions = self._model.config.max_position_embeddings
        most = arguments.get("max_model_len") or positions
        if most > positions:
            raise ValueError(f"User-specified max_model_len ({most}) is greater than {positions}.")
        config = SimpleNamespace(max_model_len=most, dtype=getattr(torch, dtype))
        self.llm_engine = SimpleNamespace(model_config=config)

    def generate(self, prompts, sampling_params, *, use_tqdm=True):
        if len(prompts) != len(sampling_params):
            raise ValueError("The lengths of prompts and params must be the same.")
        return [
            self._one(prompt["prompt_token_ids"], p)
            for prompt, p in zip(prompts, sampling_params, strict=True)
        ]

    def _one(self, prompt, params):
        most = self.llm_engine.model_config.max_model_len
        if len(prompt) >= most:
            raise ValueError(
                f"Prompt length of {len(prompt)} is longer than the maximum model length of {most}."
            )
        table = None if params.prompt_logprobs is None else self._table(prompt, params.prompt_logprobs)
        tokens, finish, reason = self._written(prompt, params, min(params.max_tokens, most - len(prompt)))
        text = SimpleNamespace(
            index=0, text=self._tokenizer.decode(tokens, skip_special_tokens=True) if params.detokenize else "",
            token_ids=tokens, logprobs=None, finish_reason=finish, stop_reason=reason,
        )  # fmt: skip
        return SimpleNamespace(prompt_token_ids=prompt, prompt_logprobs=table, outputs=[text], finished=True)

    def _table(self, prompt, count):
        table: list[dict[int, Logprob] | None] = [None]
        for token, row in zip(prompt[1:], self._logits(prompt)[:-1].log_softmax(-1), strict=True):
            place = {
                int(other): Logprob(float(row[other]), rank + 1)
                for rank, other in enumerate(row.topk(count).indices)
            }
            place.setdefault(token, Logprob(float(row[token]), int((row >= row[token]).sum())))
            table.append(place)
        return table

    def _logits(self, tokens):
        import torch

        with torch.inference_mode():
            return self._model(input_ids=torch.tensor([tokens])).logits[0].float()

    def _written(self, prompt, params, room):
        import torch

        generator = torch.Generator().manual_seed(params.seed or 0)
        written: list[int] = []
        ends = {*params.stop_token_ids, self._tokenizer.eos_token_id} - {None}
        while len(written) < room:
            logits = self._logits([*prompt, *written])[-1].clone()
            seen = torch.tensor(sorted({*prompt, *written}))
            own = logits[seen]
            logits[seen] = torch.where(
                own > 0, own / params.repetition_penalty, own * params.repetition_penalty
            )
            if len(written) < params.min_tokens:
                logits[list(ends)] = -torch.inf
            written.append(_chosen(logits, params, generator))
            if written[-1] in ends:
                own_end = written[-1] == self._tokenizer.eos_token_id
                return written, "stop", None if own_end else written[-1]
            text = self._tokenizer.decode(written, skip_special_tokens=params.skip_special_tokens)
            reason = next((stop for stop in params.stop if stop in text), None)
            if reason is not None:
                return written, "stop", reason
        return written, "length", None


def _chosen(logits, params, generator):
    import torch

    if params.temperature == 0:
        return int(logits.argmax())
    chances = (logits / params.temperature).softmax(-1)
    chances[chances < params.min_p * chances.max()] = 0
    if params.top_k > 0:
        chances[chances < chances.topk(params.top_k).values[-1]] = 0
    order = chances.argsort(descending=True)
    before = chances[order].cumsum(0) - chances[order]
    chances[order[before > params.top_p]] = 0
    return int(torch.multinomial(chances, 1, generator=generator))
