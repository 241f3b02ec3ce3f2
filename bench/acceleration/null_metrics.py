"""The null band in the unit of each metric: what a metric says of a baseline against itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bench.acceleration.image_records import MetricBand, NullBand
from bench.acceleration.image_rows import Ask, close_rows, own_values
from bench.acceleration.null_band import NullImages
from bench.core.errors import ScoringProblem
from bench.metrics.shipped_images import IMAGE_METRICS
from bench.metrics.video_fidelity import TEMPORAL_DIFFERENCE

if TYPE_CHECKING:
    import numpy as np

Embed = Callable[[Sequence["np.ndarray"]], "np.ndarray"]
"""Returns unit vectors [n, width] of images."""


def band_of(images: NullImages, ask: Ask, embed: Embed) -> NullBand:
    """Return the null band of a baseline.

    Args:
        images: its images of the secret samples, some of them made again.
        ask: measures metrics that need torch.
        embed: embeds images with the CLIP model.
    """
    pairs = [pair for pair in images.pairs() if pair[0].shape == pair[1].shape]
    applied = [name for names, made in images.again.items() if made for name in names]
    if not pairs:
        return NullBand(perturbations=applied, note="no image was made again in the same size")
    again, reference = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    rows, _ = close_rows(again, reference, ask)
    metrics = {
        name: _from_same([row[name] for row in rows], IMAGE_METRICS[name].same)
        for name in IMAGE_METRICS.of_form("pair")
    }
    metrics[TEMPORAL_DIFFERENCE] = _from_same([row[TEMPORAL_DIFFERENCE] for row in rows], 0.0)
    one, other = (own_values(arm, ask)[0] for arm in (again, reference))
    for name in IMAGE_METRICS.of_form("image"):
        changes = [
            after - before
            for after, before in zip(one[name], other[name], strict=True)
            if after is not None and before is not None
        ]
        metrics[name] = _from_same(changes, 0.0)
    try:
        cosines = (embed(again) * embed(reference)).sum(axis=1).tolist()
        metrics["clip_image_cosine"] = _from_same(cosines, 1.0)
    except ScoringProblem:  # the comparison of the pair says what is wrong with the model
        pass
    return NullBand(
        images=len(pairs),
        perturbations=applied,
        grey_levels=images.width if images.width != float("inf") else None,
        metrics={name: band for name, band in metrics.items() if band is not None},
    )


def _from_same(values: Sequence[float | None], same: float | None) -> MetricBand | None:
    """Return the value furthest from that of equal images; None where there are no values."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    if same is None:
        return MetricBand(worst=min(known))
    worst = max(known, key=lambda value: abs(value - same))
    return MetricBand(worst=worst, width=abs(worst - same))
