"""Embeddings in place of a prompt."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    words = pipe.encode_prompt("a large yellow ring", "cpu", 1, True)
    pipe(prompt_embeds=words[0], negative_prompt_embeds=words[1], num_inference_steps=8).images[0].save(
        "out.png"
    )
