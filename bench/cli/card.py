"""The card of one judged candidate: what was decided, by which gates, and what it is. For a person, and for a program."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.cli.limits import MetricLimit
from bench.core.gate import side
from bench.core.record import Json

EXIT_CODES = {"pass": 0, "fail": 1, "error": 2, "skip": 2, "inconclusive": 3}
"""Exit code of each verdict; 4 is for what cannot be used."""
_HOLDS, _MISSED, _OPEN, _NOT_ASKED = "holds", "missed", "undecided", "not asked"
_STATES: dict[str, str] = {"pass": _HOLDS, "fail": _MISSED, "inconclusive": _OPEN}
_GB = 1e9


@dataclass(frozen=True)
class GateRow:
    """One line of the card's table.

    Attributes:
        name: of the gate.
        value, low, high: what was measured, in the unit; None where nothing was.
        limit: what was asked for, None where nothing was.
        at_most: whether the limit is an upper one.
        state: ``holds``, ``missed``, ``undecided``, ``not asked`` or ``not measured``.
        unit: fraction, x, s or GB; empty for a plain number.
        words: what was found, of a gate without a number.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    limit: float | None
    at_most: bool
    state: str
    unit: str = ""
    words: str = ""

    @property
    def measured(self) -> str:
        """The value with its interval, as text."""
        if self.value is None:
            return self.words or "-"
        if self.low is None or self.high is None:
            return shown(self.value, self.unit)
        inside = {"fraction": "percentage", "x": "times", "s": "seconds"}.get(self.unit, self.unit)
        return f"{shown(self.value, self.unit)} [{shown(self.low, inside)}, {shown(self.high, inside)}]"

    @property
    def asked(self) -> str:
        """The limit, as text."""
        if self.limit is None:
            return "-"
        return f"{'at most' if self.at_most else 'at least'} {shown(self.limit, self.unit)}"


@dataclass(frozen=True)
class VerdictCard:
    """What a judged candidate comes to.

    Attributes:
        verdict: pass, fail, error, inconclusive or skip.
        reason_code, reason: why.
        gates: the table.
        facts: what the candidate is, as pairs of a word and a text.
        differences: from the target, each with both values and whether it was allowed.
        missing: what stands between it and a pass.
        warnings: of the record.
        times: seconds of each part of the pipeline by arm, where they were measured.
    """

    verdict: str
    reason_code: str
    reason: str
    gates: Sequence[GateRow]
    facts: Sequence[tuple[str, str]]
    differences: Sequence[Json] = field(default_factory=list)
    missing: Sequence[str] = field(default_factory=list)
    warnings: Sequence[str] = field(default_factory=list)
    times: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """What a command that made it ends with."""
        return EXIT_CODES[self.verdict]

    def to_json(self) -> Json:
        """Return it as plain builtins, for a program."""
        return {
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "reason_code": self.reason_code,
            "reason": self.reason,
            "gates": [
                {
                    "gate": row.name, "value": row.value, "low": row.low, "high": row.high, "limit": row.limit,
                    "bound": None if row.limit is None else "at_most" if row.at_most else "at_least",
                    "state": row.state, "unit": row.unit,
                }
                for row in self.gates
            ],
            "candidate": dict(self.facts),
            "differences": list(self.differences),
            "missing": list(self.missing),
            "warnings": list(self.warnings),
            "seconds_by_part": {arm: dict(parts) for arm, parts in self.times.items()},
        }  # fmt: skip


def make_card(record: Json, limits: Sequence[MetricLimit] = ()) -> VerdictCard:
    """Return the card of an acceleration record.

    Args:
        record: as `evaluation_results.json` has it.
        limits: what ``--metric`` asked for.
    """
    gates = [
        _gate(
            "quality loss",
            record.get("quality"),
            "loss",
            "allowed",
            at_most=True,
            strict=True,
            unit="fraction",
        ),
        _gate("speedup", record.get("speedup"), "value", "required", at_most=False, unit="x"),
        _gate("latency", record.get("latency"), "value", "allowed", at_most=True, unit="s"),
        _memory(record.get("memory") or {}),
        *(_required(record, limit) for limit in limits),
    ]
    config = record.get("config") or {}
    differences = [
        {
            "field": entry["field"],
            "target": entry["target"],
            "candidate": entry["candidate"],
            "allowed": allowed,
        }
        for key, allowed in (("mismatches", False), ("free", True))
        for entry in config.get(key) or ()
    ]
    return VerdictCard(
        verdict=record["verdict"],
        reason_code=record["reason_code"],
        reason=record["reason"],
        gates=[_configuration(config), *gates],
        facts=_facts(record, config),
        differences=differences,
        missing=_missing(record, gates, differences),
        warnings=record.get("warnings") or [],
        times=_times(record),
    )


def shown(value: float, unit: str) -> str:
    """Return a number with its unit, as the card has it."""
    if unit == "fraction":
        return f"{100 * value:.1f} %"
    if unit == "percentage":
        return f"{100 * value:.1f}"
    if unit in ("x", "times"):
        return f"{value:.2f}{'x' if unit == 'x' else ''}"
    if unit in ("s", "seconds"):
        return f"{value:.3g}{' s' if unit == 's' else ''}"
    if unit == "GB":
        return f"{value:.2f} GB"
    return f"{value:.4g}"


def _state(low: float | None, high: float | None, limit: float | None, *, at_most: bool, strict: bool) -> str:
    if low is None or high is None:
        return "not measured" if limit is not None else _NOT_ASKED
    if limit is None:
        return _NOT_ASKED
    return _STATES[side(low, high, limit, at_most=at_most, strict=strict)]


def _gate(
    name: str, found: Json | None, value: str, limit: str, *, at_most: bool, unit: str, strict: bool = False
) -> GateRow:
    found = found or {}
    low, high, bound = found.get("low"), found.get("high"), found.get(limit)
    state = _state(low, high, bound, at_most=at_most, strict=strict)
    return GateRow(name, found.get(value), low, high, bound, at_most, state, unit)


def _memory(memory: Json) -> GateRow:
    peaks = [memory.get("candidate_reserved_bytes"), memory.get("candidate_driver_bytes")]
    on_card = max((peak for peak in peaks if peak), default=None)
    peak = on_card if on_card is not None else memory.get("candidate_peak_bytes")
    allowed = memory.get("allowed_bytes")
    value, limit = (None if number is None else number / _GB for number in (peak, allowed))
    return GateRow(
        "memory",
        value,
        None,
        None,
        limit,
        True,
        _state(value, value, limit, at_most=True, strict=False),
        "GB",
    )


def _required(record: Json, limit: MetricLimit) -> GateRow:
    found = (record.get("metrics") or {}).get(limit.metric) or {}
    low, high = found.get("low"), found.get("high")
    state = _state(low, high, limit.bound, at_most=limit.at_most, strict=False)
    return GateRow(limit.metric, found.get("value"), low, high, limit.bound, limit.at_most, state)


def _configuration(config: Json) -> GateRow:
    mismatches = config.get("mismatches")
    state = "not compared" if mismatches is None else _MISSED if mismatches else _HOLDS
    free = len(config.get("free") or ())
    words = "-"
    if mismatches is not None:
        words = (
            f"{len(mismatches)} differences"
            if mismatches
            else f"{free} allowed differences"
            if free
            else "equal"
        )
    if words.startswith("1 "):
        words = words.removesuffix("s")
    return GateRow("configuration", None, None, None, None, True, state, words=words)


def _facts(record: Json, config: Json) -> list[tuple[str, str]]:
    """Return what the files were found to be."""
    facts: list[tuple[str, str]] = []
    for role in ("baseline", "candidate"):
        found = config.get(role)
        if found:
            facts.append((role, _described(found)))
    methods = ((config.get("candidate") or {}).get("methods")) or {}
    effects = ((record.get("effect") or {}).get("methods")) or {}
    if methods:
        words = {True: "effective", False: "without an effect", None: "effect not known"}
        texts = []
        for name, settings in methods.items():
            inside = ", ".join(f"{key}={value}" for key, value in (settings or {}).items())
            texts.append(f"{name}{f' ({inside})' if inside else ''}: {words[effects.get(name)]}")
        facts.append(("methods", "; ".join(texts)))
    elif config.get("candidate"):
        facts.append(("methods", "none found"))
    speed, isolation = record.get("speedup") or {}, record.get("isolation") or {}
    if speed.get("rounds"):
        launches = speed.get("launches") or 1
        facts.append(
            (
                "timed",
                f"{speed['rounds']} rounds in alternating order, in {launches} launch{'es' if launches > 1 else ''} of both",
            )
        )
    samples = ((record.get("metrics") or {}).get("quality_loss") or {}).get("n")
    if samples:
        facts.append(("scored", f"{samples} pairs of the same prompt and seed"))
    if isolation:
        missing = f"; not in force: {', '.join(isolation['missing'])}" if isolation.get("missing") else ""
        facts.append(("isolation", f"{isolation.get('mode')}{missing}"))
    return facts


def _described(found: Json) -> str:
    steps = found.get("scheduler_steps") or found.get("num_inference_steps")
    dtypes = sorted(set((found.get("dtypes") or {}).values()))
    parts = [
        found.get("pipeline_class"),
        found.get("scheduler_class"),
        f"{steps} steps" if steps else None,
        *dtypes,
    ]
    output = found.get("output") or {}
    if output.get("width"):
        frames = f"{output['frames']} frames of " if output.get("frames") else ""
        parts.append(f"{frames}{output['width']}x{output['height']}")
    return ", ".join(str(part) for part in parts if part)


def _times(record: Json) -> dict[str, dict[str, float]]:
    found = ((record.get("times") or {}).get("part_s")) or {}
    return {arm: dict(parts) for arm, parts in found.items() if parts}


def _missing(record: Json, gates: Sequence[GateRow], differences: Sequence[Json]) -> list[str]:
    """Return what stands between a candidate and a pass, as facts."""
    if record["verdict"] == "pass":
        return []
    found = [
        f"{entry['field']} is {entry['candidate']!r}, and the target has {entry['target']!r}"
        for entry in differences
        if not entry["allowed"]
    ]
    for row in gates:
        if row.state not in (_MISSED, _OPEN) or row.limit is None or row.value is None:
            continue
        if row.name == "speedup":
            less = 1 - row.value / row.limit
            text = f"{row.measured} of {row.asked}"
            if less > 0:
                text += f": each image has to take {100 * less:.0f} % less time than it does"
        else:
            text = (
                f"{row.name} {row.measured}, and {row.asked} is allowed"
                if row.at_most
                else (f"{row.name} {row.measured}, and {row.asked} is asked for")
            )
        if row.state == _OPEN:
            text += "; the interval holds the limit, so more samples or rounds decide it"
        found.append(text)
    return found or [record["reason"]]


def finite(card: Json) -> Json:
    """Return a card's JSON without numbers that JSON has no word for."""

    def plain(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    result: Json = plain(card)
    return result
