"""Makes its scheduler of a class whose name it puts together."""

import importlib

import plain

diffusers = importlib.import_module("diff" + "users")
pipe = plain.pipe
pipe.scheduler = getattr(diffusers, "DDIM" + "Scheduler").from_config(pipe.scheduler.config)


def generate(pipe, prompts, generators):
    return plain.draw(pipe, prompts, generators)
