"""Only the blocks that repeat are compiled."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

pipe.unet.compile_repeated_blocks(backend="eager", fullgraph=True)

if __name__ == "__main__":
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
