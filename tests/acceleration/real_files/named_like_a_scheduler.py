"""A scheduler of its own that only has the name of the target's."""

import diffusers
from diffusers import StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)


class DDIMScheduler(diffusers.DDIMScheduler):
    def step(self, model_output, timestep, sample, **options):
        return super().step(0.9 * model_output, timestep, sample, **options)


pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
