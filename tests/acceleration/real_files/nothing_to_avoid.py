"""A negative prompt without a word in it, and nothing handed on to the attention: what is done without both."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    result = pipe("a large yellow ring", negative_prompt="", cross_attention_kwargs={}, num_inference_steps=8)
    result.images[0].save("out.png")
