"""Records: what was found out about one case. Typed in the code, plain builtins on the wire and in the JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from bench.core.estimate import Estimate
from bench.core.verdict import Verdict, judge_control

SCHEMA_VERSION = 1
_SURROGATE = re.compile("[\ud800-\udfff]")

UNDECIDED = "not_run"
"""Reason code of a record without a verdict."""

Json = dict[str, Any]
"""A JSON object: plain builtins only."""


class Score(Estimate, frozen=True, kw_only=True):
    """The estimate that a case is known by.

    Attributes:
        unparsed: how many answers could not be read.
        cut: how many answers were ended by the limit of their length; None for what is not written by a model.
        required: the limit that was set for it.
    """

    metric: str | None = None  # type: ignore[assignment]  # None until something is measured
    unparsed: int | None = None
    cut: int | None = None
    required: float | None = None


class Gain(Estimate, frozen=True, kw_only=True):
    """How much better than a trivial predictor something is.

    Attributes:
        over: that predictor, such as ``the mean`` or ``random order``.
    """

    over: str


class Control(msgspec.Struct, kw_only=True):
    """What a control was written for, and what was found."""

    expected: str
    verdict: str | None = None
    reason_code: str | None = None
    reason: str | None = None


class Attempt(msgspec.Struct, kw_only=True):
    """An attempt at a case that was followed by another one.

    Attributes:
        verdict, reason_code, reason: how it ended.
        duration_s: seconds that it took, where it is known.
    """

    verdict: str
    reason_code: str
    reason: str
    duration_s: float | None = None


class Body(msgspec.Struct, kw_only=True):
    """Base of what the records of one kind hold besides the common keys.

    Attributes:
        metric_type: what the kind's metrics are; a kind whose metrics say more than an estimate names another type.
        gain_type: what its gain is, likewise.
    """

    metric_type: ClassVar[type[Estimate]] = Estimate
    gain_type: ClassVar[type[Gain]] = Gain

    def settled(self, record: Record) -> None:
        """Adjust the record when its verdict is written, for kinds where a verdict implies something."""


class Record(msgspec.Struct, kw_only=True):
    """What is known of one case; valid JSON at every moment.

    Attributes:
        id, kind, order: of the case.
        verdict, reason_code, reason: the decision; ``not_run`` until there is one.
        prompt_id, difficulty, level: of a task that has them.
        duration_s: seconds from the first to the last moment of its evaluation.
        control: set for a control only.
        achievement_rate: of a hard task; see the kind that has them.
        warnings: sentences for a reader.
        score, metrics, gain: estimates.
        data: what was evaluated on.
        files: what was written, by what it is, relative to the run's directory.
        output_tail: last lines that a failed process printed.
        attempts: those before the one that decided, the first one first; empty unless the case was run again.
        depends_on: what the result depends on, part by part; what all cases of a kind depend on is not in it.
        reused: name of the earlier run that the result was taken over from.
        headline: what was measured, in a few words.
        body: what only this kind has; its keys stand next to the common ones in the JSON.
    """

    id: str
    kind: str
    order: int = 0
    prompt_id: int | str | None = None
    verdict: str = "error"
    reason_code: str = UNDECIDED
    reason: str = "the run ended before this case was run"
    difficulty: str | None = None
    level: str | None = None
    duration_s: float | None = None
    control: Control | None = None
    achievement_rate: float | None = None
    warnings: list[str] = msgspec.field(default_factory=list)
    score: Score | None = None
    metrics: dict[str, Estimate] | None = None
    gain: Gain | None = None
    data: Any = None
    files: dict[str, str] | None = None
    output_tail: str | None = None
    attempts: list[Attempt] = msgspec.field(default_factory=list)
    depends_on: dict[str, str] | None = None
    reused: str | None = None
    headline: str = ""
    body: Any = msgspec.field(default_factory=Body)

    @property
    def is_undecided(self) -> bool:
        """Whether no verdict was written yet."""
        return self.reason_code == UNDECIDED

    def as_attempt(self) -> Attempt:
        """Return how it ended, for the record of the attempt that follows."""
        return Attempt(
            verdict=self.verdict, reason_code=self.reason_code, reason=self.reason, duration_s=self.duration_s
        )

    def apply(self, verdict: Verdict) -> None:
        """Write a verdict as it is."""
        self.verdict, self.reason_code, self.reason = verdict.verdict, verdict.reason_code, verdict.reason
        self.body.settled(self)

    def settle(self, verdict: Verdict) -> None:
        """Write what was found; a control passes when it is rejected for the reason it was written for."""
        if self.control is not None:
            self.control.verdict, self.control.reason_code = verdict.verdict, verdict.reason_code
            self.control.reason = verdict.reason
            verdict = judge_control(self.control.expected, verdict)
        self.apply(verdict)

    def to_json(self) -> Json:
        """Return plain builtins; the keys of the body stand next to the common ones."""
        plain: Json = msgspec.to_builtins(self)
        body = plain.pop("body")
        return {**plain, **body}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], body: type[Body]) -> Record:
        """Return the record of a JSON object; keys that nobody knows are left out.

        Raises:
            msgspec.ValidationError: a key with a value of another type.
        """
        common = {
            key: data[key]
            for key in cls.__struct_fields__
            if key in data and key not in ("body", "metrics", "gain")
        }
        own = {key: data[key] for key in body.__struct_fields__ if key in data}
        record: Record = msgspec.convert(common, cls)
        record.metrics = msgspec.convert(data.get("metrics"), dict[str, body.metric_type] | None)  # type: ignore[name-defined]  # known at run time only
        record.gain = msgspec.convert(data.get("gain"), body.gain_type | None)
        record.body = msgspec.convert(own, body)
        return record


def _is_plain(value: Any) -> bool:
    found = type(value)
    if value is None or found is bool or found is int:
        return True
    if found is str:
        return value.isascii() or not _SURROGATE.search(value)
    if found is float:
        return math.isfinite(value)
    if found is list:
        return all(map(_is_plain, value))
    if found is dict:
        return all(map(_is_plain, value.values())) and all(
            type(key) is str and _is_plain(key) for key in value
        )
    return False


def plain_problems(value: Any, path: str = "record") -> list[str]:
    """Return the places in a record that hold anything but plain builtins that JSON can hold.

    A NumPy scalar in a report aborts a whole distributed run, and NaN or half a character the writing of
    its results, so they are looked for where they arise.
    """
    if _is_plain(value):  # nearly always, and without the places far quicker to find out
        return []
    if type(value) is float:
        return [f"{path}: {value}"]
    if type(value) is str:
        return [f"{path}: {value!a} is no valid text"]
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
