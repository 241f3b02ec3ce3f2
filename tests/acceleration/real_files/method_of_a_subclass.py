"""A class of its own that adds a method, and takes no generators there."""

from diffusers import DDIMScheduler, StableDiffusionPipeline


class Drawing(StableDiffusionPipeline):
    def draw(self, text, steps=8):
        return self(text, num_inference_steps=steps).images


MODEL = "path/of/tiny-sd"
pipe = Drawing.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    pipe.draw("a large yellow ring")[0].save("out.png")
