"""The image metrics that ship, all registered: `IMAGE_METRICS` with what every module of them adds."""

from __future__ import annotations

from bench.metrics import image_distances, image_statistics  # noqa: F401  they register
from bench.metrics.image_fidelity import IMAGE_METRICS, ImageMetric

__all__ = ["IMAGE_METRICS", "ImageMetric"]
