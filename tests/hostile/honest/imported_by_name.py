"""Imports its classes by names that it puts together."""

import importlib

import plain

diffusers = importlib.import_module("diff" + "users")
pipe = getattr(diffusers, "StableDiffusion" + "Pipeline").from_pretrained(plain.MODEL)
pipe.scheduler = getattr(diffusers, "DDIM" + "Scheduler").from_config(pipe.scheduler.config)


def generate(pipe, prompts, generators):
    return plain.draw(pipe, prompts, generators)
