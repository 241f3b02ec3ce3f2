"""Half precision by autocast."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

import torch  # noqa: E402

if __name__ == "__main__":
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
