"""The projections of each attention in one product, before the pipeline is used."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"


def prepare(pipe):
    pipe.fuse_qkv_projections()
    pipe.set_progress_bar_config(disable=True)
    return pipe


pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
pipe = prepare(pipe)

if __name__ == "__main__":
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
