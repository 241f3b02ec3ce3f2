"""Switches DeepCache on where it generates."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

from DeepCache import DeepCacheSDHelper  # noqa: E402

if __name__ == "__main__":
    helper = DeepCacheSDHelper(pipe=pipe)
    helper.set_params(cache_interval=3, cache_branch_id=0)
    helper.enable()
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
