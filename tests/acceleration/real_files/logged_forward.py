"""The forward of the denoiser is wrapped to log its calls."""

import functools

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

seen = []
original = pipe.unet.forward


@functools.wraps(original)
def logged(sample, timestep, *args, **kwargs):
    seen.append(float(timestep))
    return original(sample, timestep, *args, **kwargs)


pipe.unet.forward = logged

if __name__ == "__main__":
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
    print(seen)
