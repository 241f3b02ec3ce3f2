"""DeepCache only while it generates."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

from DeepCache import DeepCacheSDHelper  # noqa: E402

helper = DeepCacheSDHelper(pipe=pipe)
helper.set_params(cache_interval=2, cache_branch_id=0)


def generate(pipe, prompts, generators):
    helper.enable()
    try:
        return pipe(prompts, generator=generators, num_inference_steps=8).images
    finally:
        helper.disable()
