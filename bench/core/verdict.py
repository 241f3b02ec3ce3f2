"""Verdicts: the five words, and how several become one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bench.core.errors import FULL, INFRASTRUCTURE, OF_THE_MOMENT, REASON_CODES, ModelgateError
from bench.core.extras import install_advice, missing_package

VERDICTS = ("pass", "fail", "inconclusive", "error", "skip")


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

    @property
    def blames_machine(self) -> bool:
        """Whether the machine or the run ended the case, so that nothing is known of what it evaluates."""
        return self.verdict == "error" and self.reason_code in INFRASTRUCTURE


PASSED = Verdict("pass", "passed", "")


class Outcome:
    """What a case comes to: a verdict for each gate, by attribute, and the one that decides.

    Example:
        >>> outcome = Outcome({"quality": PASSED, "speedup": Verdict("fail", "speedup_missed", "1.2x")})
        >>> outcome.quality.holds, outcome.holds, outcome.reason
        (True, False, '1.2x')
    """

    def __init__(self, gates: Mapping[str, Verdict]) -> None:
        self.gates = dict(gates)

    def __getattr__(self, name: str) -> Verdict:
        """Return the verdict of a gate.

        Raises:
            AttributeError: there is no such gate; the message lists those that there are.
        """
        gates = self.__dict__.get("gates", {})
        if name in gates:
            verdict: Verdict = gates[name]
            return verdict
        raise AttributeError(f"no gate is named {name!r}; the gates are {', '.join(gates)}")

    def __iter__(self) -> Iterator[tuple[str, Verdict]]:
        """Iterate over the gates with their verdicts."""
        return iter(self.gates.items())

    @property
    def verdict(self) -> Verdict:
        """The verdict that decides the case."""
        return worst(self.gates.values())

    @property
    def holds(self) -> bool:
        """Whether every gate holds."""
        return self.verdict.holds

    @property
    def reason(self) -> str:
        """Why the case ends as it does."""
        return self.verdict.reason


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict that decides: an error, else the first fail, else the first inconclusive, else a pass.

    A fail outranks an inconclusive verdict before it: no further measuring could turn the whole into a pass.
    """
    verdicts = list(verdicts)
    for word in ("error", "fail", "inconclusive", "skip"):
        for verdict in verdicts:
            if verdict.verdict == word:
                return verdict
    reasons = "; ".join(verdict.reason for verdict in verdicts if verdict.reason)
    return Verdict("pass", "passed", reasons or "nothing to object to")


def verdict_of(error: BaseException | None) -> Verdict:
    """Return the verdict that an exception means: an error, with its one-line reason."""
    reason = " ".join(str(error).split())
    if isinstance(error, ModelgateError):
        return Verdict("error", error.reason_code, reason)
    full = disk_full(error)
    if full is not None:
        return full
    package = missing_package(error)
    if package is not None:
        return Verdict("error", "extra_missing", install_advice([package]))
    return Verdict("error", "internal_error", f"{type(error).__name__}: {reason}")


def disk_full(error: BaseException | None) -> Verdict | None:
    """Return the verdict that a full disk means, where it is what an exception was raised for, or from."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            where = f"{error.filename}: " if error.filename else ""
            return Verdict(
                "error",
                "disk_full",
                f"{where}the disk is full ({error.strerror}); expected room for what the case writes; make room, then "
                "run it again",
            )
        error = error.__cause__ or error.__context__
    return None


def judge_control(expected: str, found: Verdict) -> Verdict:
    """Pass when a control was rejected for the very reason it was written for.

    A control may be written for an inconclusive reason: a ranker that guesses is one whose gain cannot be decided. What the
    machine ended neither passes nor fails.
    """
    if found.blames_machine:
        return found
    if found.verdict in ("fail", "error", "inconclusive") and found.reason_code == expected:
        return Verdict("pass", "rejected_as_expected", f"rejected as expected ({expected}): {found.reason}")
    if found.reason_code in OF_THE_MOMENT:  # neither the evaluator nor the control is wrong
        return found
    return Verdict(
        "fail",
        "not_rejected",
        f"this control must be rejected with {expected}, but the verdict was {found.verdict} ({found.reason_code}): "
        f"{found.reason}; the evaluator or the control is wrong",
    )
