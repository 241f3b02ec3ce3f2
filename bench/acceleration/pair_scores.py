"""What the images or videos of a pair are worth: a row for each sample, and the estimates that follow from the rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from msgspec.structs import replace

from bench.acceleration.image_records import Distribution, ImageStatistic
from bench.acceleration.image_rows import OF_BASELINE
from bench.core.estimate import Estimate
from bench.core.record import Json
from bench.metrics.extra_metrics import EXTRAS
from bench.metrics.measuring import Values
from bench.metrics.shipped_images import IMAGE_METRICS
from bench.metrics.video_fidelity import TEMPORAL_DIFFERENCE
from bench.statistics.bootstrap import mean_intervals

CLIP_SCORE = "clip_score"
"""Name of the mean CLIP score of an arm, in the field ``quality`` of a task."""


@dataclass(frozen=True)
class PairScores:
    """What the images or videos of a pair are worth.

    Attributes:
        loss: relative loss of the CLIP score, a fraction; without a value where there is none.
        baseline, candidate: mean CLIP scores; None where they could not be computed.
        rows: one plain row per sample.
        seed: of the bootstrap.
        problems: what could not be computed, and why. All else is there.
        distribution: distances between the sets of both arms; None where there are no embeddings.
        extras: names of the extra metrics that were asked for.
    """

    loss: Estimate
    baseline: float | None
    candidate: float | None
    rows: list[Json]
    seed: int = 0
    problems: tuple[str, ...] = ()
    distribution: Distribution | None = None
    extras: tuple[str, ...] = ()

    def fidelity(self) -> dict[str, float | int | None]:
        """Return the mean of each metric of closeness, and how many images or videos are identical to the baseline's."""
        means: dict[str, float | int | None] = {
            name: self.mean(name).value
            for name in ("clip_image_cosine", *IMAGE_METRICS.of_form("pair"), TEMPORAL_DIFFERENCE)
        }
        return means | {"identical_images": sum(row["identical"] for row in self.rows)}

    def closeness(self) -> dict[str, Estimate]:
        """Return the mean of each metric over the samples; identical images have no PSNR, and images no motion.

        Of a metric of single images it is that of the candidate's.
        """
        names = (CLIP_SCORE, "clip_image_cosine", *IMAGE_METRICS, TEMPORAL_DIFFERENCE, *self.extras)
        return {name: self.mean(name) for name in names}

    def estimates(self) -> dict[str, Estimate]:
        """Return all that was estimated, by metric."""
        return {self.loss.metric: self.loss, **self.closeness()}

    def statistics(self) -> dict[str, ImageStatistic]:
        """Return what the images of both arms are like, by metric of single images."""
        found = {}
        for name in IMAGE_METRICS.of_form("image", "set"):
            change = self.change(name)
            one, other = (self.mean(f"{prefix}{name}", name).value for prefix in (OF_BASELINE, ""))
            found[name] = ImageStatistic(
                baseline=one, candidate=other, change=change.value, low=change.low, high=change.high
            )
        return found

    def columns(self, name: str) -> tuple[Values, Values | None]:
        """Return the candidate's values of a metric for each sample, and the baseline's where it has its own.

        A metric that was not measured has only None.
        """
        if name == CLIP_SCORE:
            one, other = (f"{arm}_{CLIP_SCORE}" for arm in ("candidate", "baseline"))
            return [row.get(one) for row in self.rows], [row.get(other) for row in self.rows]
        own = [row.get(name) for row in self.rows]
        has_baseline = self.rows and f"{OF_BASELINE}{name}" in self.rows[0]
        return own, [row[f"{OF_BASELINE}{name}"] for row in self.rows] if has_baseline else None

    def change(self, name: str) -> Estimate:
        """Return the mean change of a metric of single images from the baseline to the candidate, paired by sample."""
        own, other = self.columns(name)
        pairs = zip(own, other or [None] * len(own), strict=True)
        changes = [one - before for one, before in pairs if one is not None and before is not None]
        return self._estimate(name, changes)

    def baseline_mean(self, name: str) -> float | None:
        """Return the baseline's mean of a metric of single images."""
        values = [value for value in self.columns(name)[1] or () if value is not None]
        return sum(values) / len(values) if values else None

    def all_identical(self) -> bool:
        """Whether all images or videos are the baseline's to the last bit."""
        return all(row["identical"] for row in self.rows)

    def distance(self, name: str) -> Estimate:
        """Return a distance between the sets of both arms; it has no interval."""
        found = self.distribution
        value = None if found is None else getattr(found, name)
        return Estimate(
            metric=name, value=value, n=None if found is None else found.images, higher_is_better=False
        )

    def mean(self, column: str, name: str | None = None) -> Estimate:
        """Return the mean of a column of the rows, as an estimate of a metric; left out, the column's."""
        values = (
            self.columns(CLIP_SCORE)[0] if column == CLIP_SCORE else [row.get(column) for row in self.rows]
        )
        return self._estimate(name or column, [value for value in values if value is not None])

    def _estimate(self, name: str, values: list[float]) -> Estimate:
        better = name != TEMPORAL_DIFFERENCE
        if name in IMAGE_METRICS:
            better = IMAGE_METRICS[name].higher_is_better is not False
        elif name in EXTRAS:
            better = EXTRAS[name].higher_is_better
        found = Estimate(metric=name, n=len(values), higher_is_better=better)
        if not values and name == TEMPORAL_DIFFERENCE:
            return replace(found, reason="only videos of one size, with two frames or more, have a value")
        if not values:
            return replace(found, reason="no sample has a value, since it was not measured or is infinite")
        found = replace(found, value=sum(values) / len(values))
        if len(values) == 1:
            return replace(found, reason="one sample says nothing of the scatter")
        low, high = mean_interval(tuple(values), self.seed)
        return replace(found, low=low, high=high)


@lru_cache(maxsize=256)
def mean_interval(values: tuple[float, ...], seed: int) -> tuple[float, float]:
    """Return the bootstrap interval of a mean; the same values are asked for several times in a case."""
    if min(values) == max(values):
        return values[0], values[0]
    (low, high), *_ = mean_intervals([[value] for value in values], seed).tolist()
    return low, high
