"""A denoising loop written out, as in a course, with the parts of a pipeline that itself never draws."""

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


@torch.no_grad()
def draw(text, steps=4, scale=7.5):
    wanted, unwanted = pipe.encode_prompt(text, "cpu", 1, True)
    states = torch.cat([unwanted, wanted])
    pipe.scheduler.set_timesteps(steps)
    latents = torch.randn(1, 4, pipe.unet.config.sample_size, pipe.unet.config.sample_size)
    for t in pipe.scheduler.timesteps:
        noise = pipe.unet(torch.cat([latents] * 2), t, encoder_hidden_states=states).sample
        without, with_text = noise.chunk(2)
        latents = pipe.scheduler.step(without + scale * (with_text - without), t, latents).prev_sample
    image = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
    return pipe.image_processor.postprocess(image)[0]


if __name__ == "__main__":
    draw("a large yellow ring").save("out.png")
