"""Acceleration records as the page reads them: whatever is missing, as in records of other versions, is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bench.core.estimate import PERCENT, Estimate
from bench.core.files import read_jsonl
from bench.core.page import Bar
from bench.core.record import Json, Record

GIGABYTE = 1e9
_SAID_OF_A_PROMPT = ("prompt", "seed", "class_label", "inputs", "identical")


def look(value: Any, *path: str) -> Any:
    """Return what stands at a path of attributes or keys, None where there is nothing."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
        if value is None:
            return None
    return value


def speed_bar(record: Record, label: str = "speedup") -> Bar | None:
    """Return the speedup next to what is required; None where it was not measured."""
    speedup = look(record.body, "speedup")
    estimate = _estimate(
        record, "speedup", "x", look(speedup, "value"), look(speedup, "low"), look(speedup, "high")
    )
    if estimate.value is None:
        return None
    return Bar(label, estimate, look(speedup, "required"), case=record.id).judged()


def loss_bar(record: Record, label: str = "quality loss") -> Bar | None:
    """Return the quality loss in percent next to what is allowed; None where it was not measured."""
    quality = look(record.body, "quality")
    found = [look(quality, name) for name in ("loss", "low", "high", "allowed")]
    value, low, high, allowed = (None if each is None else 100 * each for each in found)
    if value is None:
        return None
    estimate = Estimate(
        metric="quality loss", value=value, low=low, high=high, unit=PERCENT, higher_is_better=False
    )
    return Bar(label, estimate, allowed, at_most=True, case=record.id).judged(strict=True)


def other_bars(record: Record) -> list[Bar]:
    """Return latency and memory next to their limits, where there are limits."""
    found = []
    latency = look(record.body, "latency")
    if look(latency, "allowed") is not None and look(latency, "value") is not None:
        estimate = Estimate(
            metric="latency",
            value=latency.value,
            low=latency.low,
            high=latency.high,
            unit="s",
            higher_is_better=False,
        )
        found.append(Bar("latency", estimate, latency.allowed, at_most=True).judged())
    memory = look(record.body, "memory")
    peak, allowed = look(memory, "candidate_peak_bytes"), look(memory, "allowed_bytes")
    if peak is not None and allowed is not None:
        used = Estimate(metric="memory", value=peak / GIGABYTE, unit="GB", higher_is_better=False)
        # A peak is one number: it has no interval.
        verdict = "pass" if peak <= allowed else "fail"
        found.append(Bar("memory", used, allowed / GIGABYTE, at_most=True, verdict=verdict))
    return found


def _estimate(record: Record, metric: str, unit: str, value: Any, low: Any, high: Any) -> Estimate:
    known = (record.metrics or {}).get(metric)
    if known is not None and known.value is not None:
        return replace(known, unit=unit)
    return Estimate(metric=metric, value=value, low=low, high=high, unit=unit)


def rounds_by_launch(record: Record) -> list[tuple[str, list[float]]]:
    """Return the speedup of each timed round, the rounds of a launch of both processes together."""
    found: dict[int, list[float]] = {}
    for entry in look(record.body, "times", "rounds") or ():
        baseline, candidate = look(entry, "baseline_s"), look(entry, "candidate_s")
        if baseline and candidate:
            found.setdefault(look(entry, "launch") or 0, []).append(baseline / candidate)
    if len(found) == 1:
        return [("rounds", ratios) for ratios in found.values()]
    return [(f"launch {number + 1}", ratios) for number, ratios in sorted(found.items())]


@dataclass(frozen=True)
class Prompt:
    """What was measured of one prompt.

    Attributes:
        number: of the sample, from 0; also in the names of its files.
        text: the prompt, or the class.
        seed: of its generator.
        change: the score of the candidate's image less that of the baseline's; None where there are none.
        values: all metrics by name.
    """

    number: int
    text: str
    seed: int | None
    change: float | None
    values: dict[str, float]


def read_prompts(path: Path | None) -> list[Prompt]:
    """Return the rows of a predictions file, the one with the largest loss first; nothing where it cannot be read."""
    if path is None:
        return []
    try:
        rows = [row for _, row in read_jsonl(path)]
    except ValueError:  # damaged, or another kind of file
        return []
    return sorted((_prompt(number, row) for number, row in enumerate(rows)), key=_badness)


def _prompt(number: int, row: Json) -> Prompt:
    values = {
        name: float(value)
        for name, value in row.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in _SAID_OF_A_PROMPT
    }
    scores = values.get("baseline_clip_score"), values.get("candidate_clip_score")
    change = None if scores[0] is None or scores[1] is None else scores[1] - scores[0]
    text = row.get("prompt") or (f"class {row['class_label']}" if row.get("class_label") is not None else "")
    seed = row.get("seed")
    return Prompt(number, str(text), seed if isinstance(seed, int) else None, change, values)


def _badness(prompt: Prompt) -> tuple[float, float]:
    """Order by the change of the score, and where there is none by how close the images are."""
    closeness = prompt.values.get("ssim", prompt.values.get("clip_image_cosine", 1.0))
    return (prompt.change if prompt.change is not None else 0.0), closeness


def described(value: Any) -> str:
    """Return a value of a configuration in a few words."""
    if value is None or isinstance(value, bool):
        return {None: "–", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        named = (f"{name}={described(item)}" if item != {} else str(name) for name, item in value.items())
        return ", ".join(named) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(described, value)) or "none"
    return str(value)
