"""What a record says of images: what they are like, how far apart they are, and how far the baseline is from itself."""

from __future__ import annotations

import msgspec


class ImageStatistic(msgspec.Struct, kw_only=True, frozen=True):
    """The mean of a metric of single images in both arms, and its mean change with the interval, paired by sample."""

    baseline: float | None = None
    candidate: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None


class Distribution(msgspec.Struct, kw_only=True, frozen=True):
    """Distances between the images of both arms as sets.

    Attributes:
        images: of each arm, or scored frames of videos.
        fid_clip, cmmd: on the embeddings of the CLIP model.
        note: that so few images say little; None where they are enough.
    """

    images: int
    fid_clip: float
    cmmd: float
    note: str | None = None


class MetricBand(msgspec.Struct, kw_only=True, frozen=True):
    """A metric of a baseline against itself.

    Attributes:
        worst: the value that is furthest from that of equal images; of a metric of single images, the greatest change.
        width: how far away that is; None where equal images have no finite value.
    """

    worst: float | None = None
    width: float | None = None


class NullBand(msgspec.Struct, kw_only=True, frozen=True):
    """The null band of a baseline.

    Attributes:
        images: how many were made again.
        perturbations: how.
        grey_levels: the greatest mean absolute difference of an image.
        metrics: by name.
        note: why it is not known; None where it is.
    """

    images: int = 0
    perturbations: list[str] = msgspec.field(default_factory=list)
    grey_levels: float | None = None
    metrics: dict[str, MetricBand] = msgspec.field(default_factory=dict)
    note: str | None = None

    def width_of(self, metric: str) -> float:
        """Return how far a metric of the baseline against itself is from that of equal images; 0 where not known."""
        found = self.metrics.get(metric)
        return 0.0 if found is None or found.width is None else found.width


class TargetImages(msgspec.Struct, kw_only=True, frozen=True):
    """A candidate's images against its target's.

    Attributes:
        status: ``equal``, ``different``, ``not_claimed`` where the configuration is another one, ``not_repeated`` where the
            target does not make its own images again.
        images: at seeds that nobody knew before.
        distance: of the one that is furthest away, in grey levels; None where a size differs.
        allowed: what it may be.
        band: of the target's own images under legal perturbations.
        spread: mean distance between the target's images of different samples.
        timed_images: images of the timed rounds that were compared, where the baseline is the target.
        timed_distance: their mean distance.
        note: why nothing was compared.
    """

    status: str
    images: int = 0
    distance: float | None = None
    allowed: float | None = None
    band: float | None = None
    spread: float | None = None
    timed_images: int = 0
    timed_distance: float | None = None
    note: str | None = None
