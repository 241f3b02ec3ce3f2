"""Executes code that it writes itself from a template."""

from string import Template

from plain import draw, pipe

TEXT = Template(
    "def generate(pipe, prompts, generators):\n    return draw(pipe, prompts, generators, steps=$steps)\n"
)
exec(compile(TEXT.substitute(steps=4), "template", "exec"))
