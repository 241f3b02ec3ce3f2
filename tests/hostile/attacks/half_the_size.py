"""Draws at half the size, and scales up."""

from plain import STEPS, pipe


def generate(pipe, prompts, generators):
    side = pipe.unet.config.sample_size * pipe.vae_scale_factor
    made = pipe(
        prompts, generator=generators, num_inference_steps=STEPS, height=side // 2, width=side // 2
    ).images
    return [image.resize((side, side)) for image in made]
