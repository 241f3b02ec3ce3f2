"""A class of its own that makes the guidance weaker, whatever it is called with."""

from diffusers import DDIMScheduler, StableDiffusionPipeline


class Gentle(StableDiffusionPipeline):
    def __call__(self, *given, guidance_scale=7.5, **settings):
        return super().__call__(*given, guidance_scale=guidance_scale / 5, **settings)


MODEL = "path/of/tiny-sd"
pipe = Gentle.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
