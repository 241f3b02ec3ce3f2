"""Leftovers of experiments stand behind a return."""

import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"


def load_pipe():
    pipe = StableDiffusionPipeline.from_pretrained(MODEL)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    return pipe

    pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    pipe.unet = torch.compile(pipe.unet, mode="max-autotune")
    pipe.enable_attention_slicing()
    return pipe.to(torch.float16)


def draw(text):
    return load_pipe()(text, num_inference_steps=8).images[0]
    return load_pipe()(text, num_inference_steps=25).images[0]


if __name__ == "__main__":
    draw("a large yellow ring").save("out.png")
