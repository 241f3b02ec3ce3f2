"""Throws both results away: that of the warm-up, and that of the call that it times."""

import time

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    for _ in range(3):
        pipe("a large yellow ring", num_inference_steps=2, output_type="latent")
    begun = time.perf_counter()
    pipe("a large yellow ring", num_inference_steps=8)
    print(f"{time.perf_counter() - begun:.2f} s")
