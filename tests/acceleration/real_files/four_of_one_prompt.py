"""Four pictures of one prompt, each with a seed of its own, as arrays."""

import numpy as np
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

SEEDS = range(40, 44)

if __name__ == "__main__":
    noise = [torch.Generator("cpu").manual_seed(seed) for seed in SEEDS]
    found = pipe(
        "a small red star",
        num_inference_steps=8,
        num_images_per_prompt=len(SEEDS),
        generator=noise,
        output_type="np",
    ).images
    np.save("four.npy", np.stack(list(found)))
