"""Every metric that a task of pipelines may limit, with what a limit has to know of it."""

from __future__ import annotations

from bench.acceleration.quality_limits import MetricFacts
from bench.metrics.distributions import DISTRIBUTIONS, LEAST_IMAGES
from bench.metrics.extra_metrics import EXTRAS
from bench.metrics.shipped_images import IMAGE_METRICS
from bench.metrics.video_fidelity import TEMPORAL_DIFFERENCE


def known_metrics() -> dict[str, MetricFacts]:
    """Return the facts of every metric by name: of the CLIP model, of images, of sets, of other packages."""
    found = {
        "clip_score": MetricFacts(-100, 100, of_baseline=True),
        "clip_image_cosine": MetricFacts(-1, 1, same=1),
    }
    found |= {
        name: MetricFacts(metric.low, metric.high, metric.same, of_baseline=metric.form != "pair")
        for name, metric in IMAGE_METRICS.items()
    }
    found[TEMPORAL_DIFFERENCE] = MetricFacts(0, 510, same=0)
    found |= {name: MetricFacts(0, same=0, least_images=LEAST_IMAGES) for name in DISTRIBUTIONS}
    found |= {
        name: MetricFacts(extra.low, extra.high, extra.same, of_baseline=extra.form != "pair")
        for name, extra in EXTRAS.items()
    }
    return found
