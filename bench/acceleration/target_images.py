"""A candidate that claims the target's configuration has to make the target's images.

Steps, calls and components are counted in the candidate's process, where they can be forged. Images cannot: a deterministic
pipeline makes the same ones from the same prompts and seeds, and neither is known before the run.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.acceleration.comparison import Mismatch
from bench.acceleration.image_records import TargetImages
from bench.acceleration.null_band import Images, NullImages, image_distance
from bench.core.verdict import PASSED, Verdict

if TYPE_CHECKING:
    import numpy as np

LEAST_ALLOWED = 1.0
"""Mean absolute difference of an image, in grey levels, that is allowed whatever the band is: kernels round differently."""
ROUNDED_ALLOWED = 4.0
"""The same where a call is made under autocast: half precision moves an image of tiny-sd by about one grey level."""
BAND_FACTOR = 3.0
"""How many times the band is allowed: it is the greatest of very few images."""
# From this share of the distance between images of different samples on, a target does not repeat its own.
_NOT_REPEATED = 0.25
# Methods that compute the same in another way. What else a task frees may change images.
SAME_IMAGES = frozenset(
    {
        "torch_compile", "torchscript", "channels_last", "attention_slicing", "xformers", "vae_slicing", "cpu_offload",
        "group_offload",
    }
)  # fmt: skip


def changes_images(mismatches: Sequence[Mismatch], free: Sequence[Mismatch]) -> list[str]:
    """Return the fields in which a candidate differs from its target and that may change its images."""
    kept = [entry.field for entry in free if not _is_same(entry, free)]
    return [entry.field for entry in mismatches] + kept


def not_claimed(fields: Sequence[str]) -> TargetImages:
    """Return that a candidate does not claim to make its target's images."""
    return TargetImages(
        status="not_claimed", note=f"what differs and is free may change images: {', '.join(fields[:5])}"
    )


def compare(
    candidate: Images,
    target: NullImages,
    timed: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    *,
    rounds: bool = False,
) -> TargetImages:
    """Compare a candidate's images of the secret samples with the target's.

    Args:
        candidate: one for each of the target's reference images.
        target: with its own repetitions.
        timed: pairs of images of the timed rounds, where the baseline is the target.
        rounds: whether the candidate's call is made in another precision, which the configuration says nothing of.
    """
    band, spread = target.width, target.spread
    if not math.isfinite(band) or (spread is not None and band > _NOT_REPEATED * spread):
        apart = f"{band:.1f} grey levels apart" if math.isfinite(band) else "of other sizes"
        return TargetImages(
            status="not_repeated",
            band=_finite(band),
            spread=spread,
            note=f"the target's own images of the same prompts and seeds are {apart} when order, batch size or threads "
            "change, so nothing is said of the candidate's; let the file pass the given generators on",
        )
    allowed = (ROUNDED_ALLOWED if rounds else LEAST_ALLOWED) + BAND_FACTOR * band
    worst = math.inf  # of another number of images
    if len(candidate) == len(target.reference):
        worst = max(image_distance(*pair) for pair in zip(candidate, target.reference, strict=True))
    mean = statistics.fmean(image_distance(*pair) for pair in timed) if timed else 0.0
    return TargetImages(
        status="equal" if max(worst, mean) <= allowed else "different",
        images=len(candidate),
        distance=_finite(worst),
        allowed=allowed,
        band=band,
        spread=spread,
        timed_images=len(timed),
        timed_distance=_finite(mean) if timed else None,
    )


def judge_target(found: TargetImages | None) -> Verdict:
    """Fail where a candidate claims its target's configuration and makes other images; what is not known is not judged."""
    if found is None or found.status != "different":
        return PASSED
    assert found.allowed is not None
    is_timed = found.distance is not None and found.distance <= found.allowed
    distance, which = (
        (found.timed_distance, f"mean of {found.timed_images} images of the timed rounds")
        if is_timed
        else (found.distance, f"worst of {found.images} images at seeds that were not known before")
    )
    apart = "have another size" if distance is None else f"are {distance:.1f} grey levels away"
    return Verdict(
        "fail",
        "images_differ_from_target",
        f"the configuration equals the target's, but the images {apart} ({which}); expected the target's own within "
        f"{found.allowed:.1f}; the candidate computes something other than it reports",
    )


def _is_same(entry: Mismatch, free: Sequence[Mismatch]) -> bool:
    """Whether a free difference leaves the images as they are: a method of that kind, or work that only it explains."""
    names = entry.because if entry.because else [entry.field]
    fields = {other.field for other in free}
    return all(
        name in fields and name.startswith("methods.") and name.partition(".")[2] in SAME_IMAGES
        for name in names
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
