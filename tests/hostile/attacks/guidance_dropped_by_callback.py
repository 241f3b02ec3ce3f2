"""Drops guidance after the first step, in a callback."""

from plain import STEPS, pipe


def drop(pipe, index, timestep, tensors):
    if index == 0:
        pipe._guidance_scale = 0.0
        tensors["prompt_embeds"] = tensors["prompt_embeds"].chunk(2)[-1]
    return tensors


def generate(pipe, prompts, generators):
    return pipe(
        prompts,
        generator=generators,
        num_inference_steps=STEPS,
        callback_on_step_end=drop,
        callback_on_step_end_tensor_inputs=["prompt_embeds"],
    ).images
