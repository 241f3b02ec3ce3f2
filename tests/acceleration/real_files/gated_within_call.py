"""T-GATE's own entry point generates, and nothing of it is in place before."""

from diffusers import DDIMScheduler, StableDiffusionPipeline
from tgate import TgateSDLoader

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


def generate(pipe, prompts, generators):
    gated = TgateSDLoader(pipe, gate_step=6, num_inference_steps=8)
    return gated.tgate(prompts, gate_step=6, num_inference_steps=8, generator=generators).images
