"""Its scheduler is of a class of its own without anything in it, with the same name."""

import diffusers
from plain import draw, pipe


class DDIMScheduler(diffusers.DDIMScheduler):
    pass


pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
