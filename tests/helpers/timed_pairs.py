"""Times of pairs with a known speedup, under several models of a machine's noise."""

from __future__ import annotations

import math

import numpy as np

SD = 0.06  # of a round's log ratio


def normal(rng, rounds):
    return rng.normal(0, SD, rounds)


def student_t3(rng, rounds):
    return rng.standard_t(3, rounds) * SD / math.sqrt(3)


def stalls_in_one_arm(rng, rounds):
    return rng.normal(0, SD, rounds) + (rng.random(rounds) < 0.1) * np.log(rng.uniform(1.5, 3, rounds))


def autocorrelated(rng, rounds):
    shocks = rng.normal(0, SD, rounds)
    shocks[1:] *= math.sqrt(1 - 0.3**2)
    for i in range(1, rounds):
        shocks[i] += 0.3 * shocks[i - 1]
    return shocks


def draw_pair(noise, ratio, seed, rounds=40):
    """Seconds of both arms with a true speedup of `ratio`; the noise of a ratio is put on the baseline."""
    rng = np.random.default_rng(seed)
    drift = np.exp(rng.normal(0, 0.2, rounds))  # of the machine: in both arms, so it must cancel
    return 2 * ratio * drift * np.exp(noise(rng, rounds)), 2 * drift
