"""Answers that could not be read: a score that counts them as wrong says more of the reading than of the model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.core.errors import UsageProblem
from bench.core.record import Score
from bench.core.verdict import Verdict

_MOST = 50.0  # percent, above which a reader is told whatever the limit is


@dataclass(frozen=True, slots=True)
class Unread:
    """How many answers of a dataset could not be read.

    Attributes:
        unparsed: answers, or questions with such an answer.
        n: of how many.
        cut: answers that were cut at the limit of their length, read or not.
        answers: how many answers there are: several for a question that is asked several times.
        limit: percent that may be unparsed.
    """

    unparsed: int
    n: int
    cut: int
    answers: int
    limit: float

    @classmethod
    def of(cls, score: Score, predictions: Iterable[Mapping[str, Any]], limit: float) -> Unread:
        """Return the counts of a score.

        Args:
            score: of the whole dataset.
            predictions: that it was computed from; those that were cut say so.
            limit: percent.
        """
        cuts = [bool(prediction.get("cut")) for prediction in predictions]
        return cls(score.unparsed or 0, score.n or 0, sum(cuts), len(cuts), limit)

    @property
    def percent(self) -> float:
        """Share that could not be read, as a percentage."""
        return 100 * self.unparsed / self.n if self.n else 0.0

    @property
    def is_too_much(self) -> bool:
        """Whether the score decides nothing."""
        return self.percent > self.limit

    def text(self) -> str:
        """Return the counts as a sentence, with what to do."""
        cut = f"; {self.cut} of {self.answers} were cut at the limit of their length" if self.cut else ""
        advice = "raise --max-out-len" if 2 * self.cut > self.answers else "see them in predictions/"
        return (
            f"{self.unparsed} of {self.n} answers could not be read ({self.percent:.0f} %){cut}; {advice}, or correct the "
            "prompt or the post-processors of the dataset"
        )

    def warnings(self) -> list[str]:
        """Return what a reader of the summary is told: nothing where most answers were read."""
        return [self.text()] if self.percent > min(self.limit, _MOST) else []

    def verdict(self, verdict: Verdict) -> Verdict:
        """Return a verdict on the score, or on a value of the same answers: none where too few could be read."""
        if not self.is_too_much or verdict.verdict == "error":
            return verdict
        return Verdict(
            "inconclusive",
            "answers_unparsed",
            f"{self.text()}; expected at most {self.limit:g} % (--max-unparsed); {verdict.reason}",
        )


def parse_percent(text: str, option: str) -> float:
    """Return the number of a percentage: ``20`` and ``20%`` are the same.

    Raises:
        UsageProblem: anything else, also a number between 0 and 1, which may be meant as a fraction.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(%?)", text.strip(), re.ASCII)
    number = float(found[1]) if found else -1.0
    if found and 0 < number < 1 and not found[2]:
        raise UsageProblem(
            f"{option} {text}: found a number under 1 without a percent sign, expected a percentage; write {text}% or "
            f"{100 * number:g}%"
        )
    if not 0 <= number <= 100:
        raise UsageProblem(f"{option} {text}: expected a percentage from 0 to 100, such as 20%")
    return number
