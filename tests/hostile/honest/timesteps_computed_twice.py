"""Sets the timesteps itself before the call does so again."""

from plain import STEPS, draw, pipe


def generate(pipe, prompts, generators):
    pipe.scheduler.set_timesteps(STEPS)
    return draw(pipe, prompts, generators)
