"""Its numbers overflow before they become pixels."""

from plain import draw, pipe

decode = pipe.vae.decode


def overflowing(latents, *args, **options):
    return decode(latents * 1e38 * 1e38, *args, **options)


pipe.vae.decode = overflowing


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
