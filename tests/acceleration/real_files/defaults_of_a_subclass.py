"""A class of its own whose call has other defaults, and does the rest as its base."""

from diffusers import DDIMScheduler, StableDiffusionPipeline


class Brief(StableDiffusionPipeline):
    def __call__(self, prompt, **settings):
        return super().__call__(prompt, **{"num_inference_steps": 8, **settings})


MODEL = "path/of/tiny-sd"
pipe = Brief.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    pipe("a large yellow ring").images[0].save("out.png")
