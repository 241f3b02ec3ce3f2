"""Hands its settings on in context variables."""

import contextvars

from plain import draw, pipe

steps = contextvars.ContextVar("steps", default=2)


def generate(pipe, prompts, generators):
    def within():
        steps.set(4)
        return draw(pipe, prompts, generators, steps.get())

    return contextvars.copy_context().run(within)
