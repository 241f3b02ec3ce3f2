"""Acceleration cases and their records, for tests of what is made of them."""

from bench.acceleration.case import AccelerationCase
from bench.core.verdict import Verdict

CODES = {"pass": "passed", "fail": "speedup_missed", "inconclusive": "speedup_undecided", "error": "crashed"}


def case(number=1, **fields):
    return AccelerationCase(
        **{"id": f"medium-sd-all-{number}", "prompt_id": number, "order": number, **fields}
    )


def record(verdict="pass", number=1, reason="because", achievement=None, **fields):
    made = case(number, **fields).blank()
    made.apply(Verdict(verdict, CODES.get(verdict, "skipped"), reason))
    made.achievement_rate = achievement
    return made


def measured(**fields):
    made = record(**fields)
    speedup, quality = made.body.speedup, made.body.quality
    speedup.value, speedup.low, speedup.high = 1.5, 1.25, 1.75
    quality.loss, quality.low, quality.high = 0.0123, 0.0, 0.02
    return made
