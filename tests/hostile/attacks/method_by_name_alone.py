"""Says by an attribute that the method is in place."""

from plain import draw, pipe

pipe.vae.use_slicing_ = True
pipe.enable_vae_slicing = lambda: None
pipe.enable_vae_slicing()


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
