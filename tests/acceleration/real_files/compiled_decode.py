"""The decoder's method compiled in one graph."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

import torch  # noqa: E402

pipe.vae.decode = torch.compile(pipe.vae.decode, backend="eager", fullgraph=True)

if __name__ == "__main__":
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
