"""Encodes each prompt once."""

import functools

import torch
from plain import STEPS, pipe


@functools.lru_cache(maxsize=256)
def encoded(prompt):
    with torch.no_grad():
        return pipe.encode_prompt(prompt, pipe.device, 1, True)


def generate(pipe, prompts, generators):
    embeds, negative = (torch.cat(parts) for parts in zip(*map(encoded, prompts)))
    return pipe(
        prompt_embeds=embeds, negative_prompt_embeds=negative, generator=generators, num_inference_steps=STEPS
    ).images
