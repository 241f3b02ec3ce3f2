"""Looks at the progress through the scheduler's step, from outside."""

from unittest import mock

from plain import draw, pipe

seen = []


def generate(pipe, prompts, generators):
    with mock.patch.object(pipe, "progress_bar", wraps=pipe.progress_bar) as bar:
        made = draw(pipe, prompts, generators)
        seen.append(bar.call_count)
    return made
