"""What of an acceleration case is followed from run to run, and what people share of it."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from msgspec.structs import replace

from bench.acceleration.page import reading
from bench.core.estimate import Estimate
from bench.core.page import PageRequest
from bench.core.record import Record

LOSS = "quality loss"


def compared(record: Record) -> Mapping[str, Estimate]:
    """Return the speedup and the quality loss in percent, where they were measured."""
    bars = reading.speed_bar(record), reading.loss_bar(record)
    return {bar.estimate.metric: bar.estimate for bar in bars if bar is not None}


def samples(request: PageRequest, record: Record) -> Mapping[str, Mapping[str, float]]:
    """Return the quality loss of each prompt and seed, as a share of the mean score of the baseline, in percent."""
    prompts = reading.read_prompts(request.file(record, "predictions"))
    scored = {
        f"{prompt.seed} {prompt.text}": (prompt.values["baseline_clip_score"], -prompt.change)
        for prompt in prompts
        if prompt.change is not None
    }
    mean = fmean(score for score, _ in scored.values()) if scored else 0.0
    if mean <= 0 or len(scored) != len(prompts):
        return {}
    return {LOSS: {key: 100 * lost / mean for key, (_, lost) in scored.items()}}


def columns(request: PageRequest, record: Record) -> Mapping[str, Estimate]:
    """Return what people put into a table of accelerations: the speedup by wall time, seconds, closeness, scores."""
    found = dict(compared(record))
    for name, estimate in (record.metrics or {}).items():
        if name not in ("speedup", "quality_loss"):
            unit = {"latency_s": "s", "psnr_db": "dB"}.get(name, estimate.unit)
            found[_COLUMNS.get(name, name)] = replace(estimate, unit=unit)
    scores = [reading.look(record.body, "quality", arm) for arm in ("baseline", "candidate")]
    for arm, score in zip(("CLIP baseline", "CLIP"), scores, strict=True):
        if score is not None:
            found[arm] = Estimate(metric="clip_score", value=score, reason="the mean of the samples")
    peak = reading.look(record.body, "memory", "candidate_peak_bytes")
    if peak is not None:
        found["memory"] = Estimate(
            metric="memory", value=peak / reading.GIGABYTE, unit="GB", higher_is_better=False
        )
    return found


_COLUMNS = {
    "latency_s": "latency",
    "psnr_db": "PSNR",
    "ssim": "SSIM",
    "lpips": "LPIPS",
    "clip_image_cosine": "CLIP image",
    "temporal_difference": "temporal difference",
}
SHOWN = ("speedup", "latency", LOSS, "PSNR", "SSIM", "LPIPS", "CLIP")
"""Columns of the table where none are asked for; those that no case has are left out."""
