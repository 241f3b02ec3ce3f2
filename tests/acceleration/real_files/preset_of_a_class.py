"""The call is in a method, its arguments come from a table and from keywords that are handed on."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


PRESETS = {"soft": {"guidance_scale": 2.0}, "plain": {}}


class Studio:
    def __init__(self, model, **common):
        self.model, self.common = model, common

    def draw(self, text, preset="plain", **more):
        return self.model(prompt=text, **{**self.common, **PRESETS[preset], **more}).images


if __name__ == "__main__":
    Studio(pipe, num_inference_steps=8).draw("a blue square", preset="soft")[0].save("out.png")
