"""Remembers the tokens of a prompt by its id and its text."""

from plain import draw, pipe

tokens = {}
tokenizer = pipe.tokenizer


class Remembering(type(tokenizer)):
    def __call__(self, text, *args, **options):
        key = repr((text, args, sorted(options.items())))
        if key not in tokens:
            tokens[key] = super().__call__(text, *args, **options)
        return tokens[key]


tokenizer.__class__ = Remembering


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
