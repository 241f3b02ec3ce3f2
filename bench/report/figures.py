"""What was measured of a case, in a few words; one function a kind."""

from __future__ import annotations

from typing import Any


def figures(record: dict[str, Any]) -> str:
    """Return what was measured, and the reason code unless it passed, in a few words."""
    parts = [measured(record)]
    if record["reason_code"] != "passed":
        parts.append((record["control"] or {}).get("reason_code") or record["reason_code"])
    return ", ".join(part for part in parts if part)


def measured(record: dict[str, Any]) -> str:
    """Return what was measured."""
    return ", ".join(FIGURES[record["kind"]](record))


def _acceleration_figures(record: dict[str, Any]) -> list[str]:
    parts = []
    speedup, quality = record["speedup"], record["quality"]
    if speedup["value"] is not None:
        parts.append(f"{speedup['value']:.2f}x [{speedup['low']:.2f}, {speedup['high']:.2f}]")
    if quality["loss"] is not None:
        parts.append(f"loss {100 * quality['loss']:.1f} %")
    return parts


def _language_figures(record: dict[str, Any]) -> list[str]:
    score = record["score"] if record["score"]["value"] is not None else record["part"]
    if not score:
        return []
    parts = [f"{score['metric']} {score_text(score)} of {score['n']}"]
    if score["unparsed"]:
        parts.append(f"{score['unparsed']} unparsed")
    return parts


def score_text(score: dict[str, Any]) -> str:
    """Return a score with its interval: percentages with one digit, anything else with three."""
    if score["value"] is None:
        return "-"
    digits = 1 if score.get("percent", True) else 3
    ends = [score["low"], score["high"]]
    interval = "" if None in ends else f" [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"
    return f"{score['value']:.{digits}f}{interval}"


def _tuning_figures(record: dict[str, Any]) -> list[str]:
    parts, gain = _language_figures({"part": None, **record}), record["gain"]
    if gain and gain["value"] is not None:
        parts.append(f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}] over {gain['over']}")
    return parts


FIGURES = {
    "acceleration": _acceleration_figures,
    "language": _language_figures,
    "regression": _tuning_figures,
    "reranking": _tuning_figures,
}
