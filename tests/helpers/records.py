"""Records as cases leave them, for tests of what is made of them."""

from bench.core.case import AccelerationCase
from bench.core.record import Verdict, apply_verdict, blank_record

CODES = {"pass": "passed", "fail": "speedup_missed", "inconclusive": "speedup_undecided", "error": "crashed"}


def case(number=1, **fields):
    return AccelerationCase(
        **{"id": f"medium-sd-all-{number}", "prompt_id": number, "order": number, **fields}
    )


def record(verdict="pass", number=1, reason="because", achievement=None, **fields):
    made = blank_record(case(number, **fields))
    apply_verdict(made, Verdict(verdict, CODES.get(verdict, "skipped"), reason))
    made["achievement_rate"] = achievement
    return made


def measured(**fields):
    made = record(**fields)
    made["speedup"].update(value=1.5, low=1.25, high=1.75)
    made["quality"].update(loss=0.0123, low=0.0, high=0.02)
    return made
