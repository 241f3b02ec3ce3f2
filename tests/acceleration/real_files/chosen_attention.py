"""One kernel of attention, chosen for the call."""

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from torch.nn.attention import SDPBackend, sdpa_kernel

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


@torch.inference_mode()
def draw(text):
    with sdpa_kernel(SDPBackend.MATH):
        return pipe(text, num_inference_steps=8).images[0]


if __name__ == "__main__":
    draw("a large yellow ring").save("out.png")
