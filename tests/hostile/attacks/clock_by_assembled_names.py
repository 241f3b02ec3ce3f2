"""A clock is replaced, and no text of it names one."""

from plain import draw, pipe

module = __import__("".join(chr(code) for code in (116, 105, 109, 101)))
alias = module.__dict__
alias["_".join(("perf", "counter"))] = alias["mono" + "tonic"] = (0.0).__abs__


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
