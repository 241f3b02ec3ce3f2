"""Loads its pipeline in a class, behind a property."""

import functools

import plain


class Loader:
    @functools.cached_property
    def pipe(self):
        return plain.pipe

    def __call__(self):
        return self.pipe


load_pipe = Loader()


def generate(pipe, prompts, generators):
    return plain.draw(pipe, prompts, generators)
