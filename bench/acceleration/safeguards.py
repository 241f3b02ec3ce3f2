"""Safeguards: what the images of a candidate must keep though no task asks for it.

The CLIP score sees whether an image shows its prompt. It hardly sees blur, noise, a black border or an image that is shifted
by some pixels. A method may make other images than the baseline; as a whole they are as sharp, as bright and as different
from each other. A safeguard rejects where the whole interval of a change lies outside of the range that it allows. What the
interval cannot decide is a warning, since nobody asked: a limit of a task decides both ways.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bench.acceleration.image_records import TargetImages
from bench.acceleration.quality_limits import MeasuredPair
from bench.core.estimate import Estimate
from bench.core.verdict import PASSED, Verdict
from bench.metrics.shipped_images import IMAGE_METRICS


@dataclass(frozen=True, slots=True)
class Safeguard:
    """How far a metric of the candidate may be from the baseline's.

    Attributes:
        metric: its name.
        lower, upper: allowed change downwards and upwards, as a fraction of the baseline's mean.
        least: the same in the unit of the metric, where the fraction is less.
        sign: what a change downwards and one upwards look like, in a word each.
    """

    metric: str
    lower: float
    upper: float
    least: float
    sign: tuple[str, str]

    def allowed(self, mean: float | None) -> tuple[float, float]:
        """Return the range of allowed changes where the baseline has this mean."""
        scale = abs(mean or 0.0)
        return -max(self.lower * scale, self.least), max(self.upper * scale, self.least)


SAFEGUARDS: tuple[Safeguard, ...] = (
    Safeguard("sharpness", 0.05, 0.1, 0.01, ("blurred", "sharpened")),
    Safeguard("noise", 0.3, 0.3, 0.25, ("smoothed", "noisy")),
    Safeguard("blockiness", 1.0, 0.25, 0.1, ("smoothed", "in blocks")),
    Safeguard("contrast", 0.1, 0.1, 1.5, ("flat", "harsh")),
    Safeguard("brightness", 0.08, 0.08, 3.0, ("darkened", "brightened")),
    Safeguard("saturation", 0.1, 0.1, 3.0, ("pale", "gaudy")),
    Safeguard("red_green", 0.0, 0.0, 3.0, ("tinted green", "tinted red")),
    Safeguard("yellow_blue", 0.0, 0.0, 3.0, ("tinted blue", "tinted yellow")),
    Safeguard("black_share", 1.0, 0.0, 0.03, ("less black", "partly black")),
    Safeguard("diversity", 0.2, 1.0, 1.0, ("alike", "scattered")),
    Safeguard("copies", 1.0, 0.0, 0.1, ("less alike", "copies of each other")),
    Safeguard("shift_x", 0.0, 0.0, 0.02, ("shifted to the left", "shifted to the right")),
    Safeguard("shift_y", 0.0, 0.0, 0.02, ("shifted upwards", "shifted downwards")),
)
"""Those in force. Accelerations that ship change sharpness by 1 % at most, noise by 5 %, blockiness by 3 %, contrast by 3 %,
light and colour by 1 %; the ranges leave room for larger models and other samplers."""


def judge_safeguards(
    scores: MeasuredPair, lifted: Collection[str] = (), safeguards: Sequence[Safeguard] = SAFEGUARDS
) -> tuple[Verdict, list[str]]:
    """Return the verdict of all safeguards, and a warning for each that its interval leaves open.

    Args:
        scores: of the pair.
        lifted: metrics of the safeguards that a task takes back, or that it limits itself.
        safeguards: those that are in force.
    """
    missed, warnings = [], []
    for one in safeguards:
        if one.metric in lifted:
            continue
        is_pair = IMAGE_METRICS[one.metric].form == "pair"
        found = scores.mean(one.metric) if is_pair else scores.change(one.metric)
        mean = None if is_pair else scores.baseline_mean(one.metric)
        if found.value is None or found.low is None or found.high is None:
            continue
        low, high = one.allowed(mean)
        if found.high < low or found.low > high:
            missed.append(f"{one.sign[found.low > high]} ({_shown(one.metric, found, low, high)})")
        elif not low <= found.value <= high:
            warnings.append(
                f"the images may be {one.sign[found.value > high]} ({_shown(one.metric, found, low, high)}); more samples "
                "would tell"
            )
    if not missed:
        return PASSED, warnings
    return (
        Verdict(
            "fail",
            "images_degraded",
            f"the images are {', '.join(missed)}, compared with the baseline's; accelerate less aggressively, or lift the "
            'safeguard in the task, such as "quality": {"' + _first(missed, safeguards) + '": null}',
        ),
        warnings,
    )


def _shown(metric: str, found: Estimate, low: float, high: float) -> str:
    return f"{metric} changes by {found.value:.3g} [{found.low:.3g}, {found.high:.3g}], allowed {low:.3g} to {high:.3g}"


def _first(missed: Sequence[str], safeguards: Sequence[Safeguard]) -> str:
    return next(one.metric for one in safeguards if f"({one.metric} changes" in missed[0])


def forgiven(
    quality: Mapping[str, Verdict], images: TargetImages | None
) -> tuple[dict[str, Verdict], list[str]]:
    """Return the verdicts, with a safeguard that fails turned into a warning where the images are the target's own.

    Args:
        quality: verdicts by gate, ``safeguards`` among them or not.
        images: the candidate's against the target's.
    """
    found = quality.get("safeguards", PASSED)
    if found.holds or images is None or images.status != "equal":
        return dict(quality), []
    return {**quality, "safeguards": PASSED}, [f"as those of the target, {found.reason.split(';')[0]}"]
