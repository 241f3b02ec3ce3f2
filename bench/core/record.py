"""Verdicts and records: what was decided about one case, as plain builtins that any process can send on."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from bench.core.case import Case
from bench.core.errors import (
    REASON_CODES,
    ArmProblem,
    CaseProblem,
    ModelgateError,
    ScoringProblem,
    UsageProblem,
)

VERDICTS = ("pass", "fail", "inconclusive", "error", "skip")
SCHEMA_VERSION = 1
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision with its reason.

    Attributes:
        verdict: one of :data:`VERDICTS`.
        reason_code: one of :data:`bench.core.errors.REASON_CODES`.
        reason: one line that names the number, the limit and, unless it passed, the next thing to do.
    """

    verdict: str
    reason_code: str
    reason: str

    def __post_init__(self) -> None:
        """Refuse words outside the closed lists."""
        if self.verdict not in VERDICTS or self.reason_code not in REASON_CODES:
            raise ValueError(f"unknown verdict {self.verdict!r} or reason code {self.reason_code!r}")

    @property
    def holds(self) -> bool:
        """Whether it is a pass."""
        return self.verdict == "pass"


def verdict_of(error: BaseException | None) -> Verdict:
    """Return the verdict that an exception means: an error, with its one-line reason."""
    reason = " ".join(str(error).split())
    if isinstance(error, ArmProblem):
        return Verdict("error", error.reason_code, reason)
    if isinstance(error, CaseProblem):
        return Verdict("error", error.reason_code, reason)
    if isinstance(error, ScoringProblem | UsageProblem):
        return Verdict("error", "scoring_failed", reason)
    if isinstance(error, ModelgateError):
        return Verdict("error", "task_invalid", reason)
    return Verdict("error", "internal_error", f"{type(error).__name__}: {reason}")


def worst(verdicts: list[Verdict]) -> Verdict:
    """Return the verdict that decides: an error, else the first fail, else the first inconclusive, else a pass.

    A fail beats an inconclusive one before it: no further measuring could turn the whole into a pass.
    """
    for kind in ("error", "fail", "inconclusive", "skip"):
        for verdict in verdicts:
            if verdict.verdict == kind:
                return verdict
    reasons = "; ".join(verdict.reason for verdict in verdicts if verdict.reason)
    return Verdict("pass", "passed", reasons or "nothing to object to")


def blank_record(case: Case) -> dict[str, Any]:
    """Return the record of a case of which nothing is known yet: every key, missing values as None."""
    return {
        "id": case.id,
        "order": case.order,
        "prompt_id": None,
        "kind": case.kind,
        "verdict": "error",
        "reason_code": "not_run",
        "reason": "the run ended before this case was run",
        "difficulty": None,
        "level": None,
        "duration_s": None,
        "control": None,
        "achievement_rate": None,
        "warnings": [],
        **case.blank(),
    }


def apply_verdict(record: dict[str, Any], verdict: Verdict) -> None:
    """Write a verdict into a record.

    A hard task with a requirement that was not met for any reason but a skip has achieved nothing, unless
    its evaluation measured what it achieved.
    """
    gated = (
        record["difficulty"] == "hard" and record["speedup"]["required"] is not None
    )  # no other kind is hard
    not_met = verdict.verdict in ("fail", "inconclusive", "error")
    if gated and not_met and record["control"] is None and record["achievement_rate"] is None:
        record["achievement_rate"] = 0.0
    record.update(verdict=verdict.verdict, reason_code=verdict.reason_code, reason=verdict.reason)


def judge_control(expected: str, found: Verdict) -> Verdict:
    """Pass when a control was rejected for the very reason it was written for."""
    if found.verdict in ("fail", "error") and found.reason_code == expected:
        return Verdict("pass", "rejected_as_expected", f"rejected as expected ({expected}): {found.reason}")
    return Verdict(
        "fail",
        "not_rejected",
        f"this control must be rejected with {expected}, but the verdict was {found.verdict} ({found.reason_code}): "
        f"{found.reason}; the evaluator or the control is wrong",
    )


def settle(record: dict[str, Any], verdict: Verdict) -> None:
    """Write what was found into a record; a control passes when it is rejected for the reason it was written for."""
    control = record["control"]
    if control is None:
        apply_verdict(record, verdict)
        return
    control.update(verdict=verdict.verdict, reason_code=verdict.reason_code, reason=verdict.reason)
    apply_verdict(record, judge_control(control["expected"], verdict))


def plain_problems(value: Any, path: str = "record") -> list[str]:
    """Return the places in a record that hold anything but plain builtins that JSON can hold.

    A NumPy scalar in a report aborts a whole distributed run, and NaN or half a character the writing of
    its results, so they are looked for where they arise.
    """
    if value is None or type(value) in (bool, int):
        return []
    if type(value) is float:
        return [] if math.isfinite(value) else [f"{path}: {value}"]
    if type(value) is str:
        return [f"{path}: {value!a} is no valid text"] if _SURROGATE.search(value) else []
    if type(value) is list:
        return [
            problem
            for index, item in enumerate(value)
            for problem in plain_problems(item, f"{path}[{index}]")
        ]
    if type(value) is dict:
        return [
            problem
            for key, item in value.items()
            for problem in (
                plain_problems(key, f"{path}: key") if type(key) is str else [f"{path}: key {key!r}"]
            )
            + plain_problems(item, f"{path}.{key}")
        ]
    return [f"{path}: {type(value).__module__}.{type(value).__qualname__}"]
