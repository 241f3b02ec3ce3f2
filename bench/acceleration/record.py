"""What the record of an acceleration case has besides the common keys."""

from __future__ import annotations

import msgspec

from bench.acceleration.comparison import Mismatch
from bench.acceleration.configuration import Configuration
from bench.acceleration.effect import Effect
from bench.acceleration.image_records import Distribution, ImageStatistic, NullBand, TargetImages
from bench.acceleration.times import Times
from bench.core.record import Body, Record


class Configurations(msgspec.Struct, kw_only=True):
    """What each file was found to be, and where the candidate differs from its target.

    Attributes:
        target, baseline, candidate: None until they are observed.
        mismatches: what differs and must not; None until they are compared.
        free: what differs and may; likewise.
    """

    target: Configuration | None = None
    baseline: Configuration | None = None
    candidate: Configuration | None = None
    mismatches: list[Mismatch] | None = None
    free: list[Mismatch] | None = None


class Speedup(msgspec.Struct, kw_only=True):
    """Baseline time over candidate time, its interval, the requirement and the number of timed rounds and launches."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    required: float | None = None
    rounds: int = 0
    launches: int = 0

    def text(self) -> str:
        """Return the value with its interval; empty where there is none."""
        return "" if self.value is None else f"{self.value:.2f}x [{self.low:.2f}, {self.high:.2f}]"


class Latency(msgspec.Struct, kw_only=True):
    """Seconds per image or video of the candidate, their interval and the limit."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    allowed: float | None = None


class Quality(msgspec.Struct, kw_only=True):
    """Mean scores of both arms, the relative loss, a fraction, with its interval, the allowance, and how many count."""

    metric: str = "clip_score"
    baseline: float | None = None
    candidate: float | None = None
    loss: float | None = None
    low: float | None = None
    high: float | None = None
    allowed: float | None = None
    samples: int = 0


class PointEstimate(msgspec.Struct, kw_only=True):
    """The verdicts that the bare values would give, as papers report them; None is not asked for or not measured."""

    quality: bool | None = None
    speedup: bool | None = None
    latency: bool | None = None
    verdict: str | None = None


class Memory(msgspec.Struct, kw_only=True):
    """Memory of each arm in bytes, and the limit.

    Attributes:
        baseline_peak_bytes, candidate_peak_bytes: highest resident size, memory shared with the fork server included.
        baseline_allocated_bytes, candidate_allocated_bytes: highest size of all tensors on the GPU, as the arm's torch says.
        baseline_reserved_bytes, candidate_reserved_bytes: highest size of what that torch held there for tensors.
        baseline_driver_bytes, candidate_driver_bytes: what the driver says that the arm held there after the rounds. All
            three are None on a processor.
        allowed_bytes: the limit of the candidate: of its resident size, or on a GPU of what it took there.
    """

    baseline_peak_bytes: int | None = None
    candidate_peak_bytes: int | None = None
    baseline_allocated_bytes: int | None = None
    candidate_allocated_bytes: int | None = None
    baseline_reserved_bytes: int | None = None
    candidate_reserved_bytes: int | None = None
    baseline_driver_bytes: int | None = None
    candidate_driver_bytes: int | None = None
    allowed_bytes: int | None = None


class Isolation(msgspec.Struct, kw_only=True):
    """What kept the candidate's process from the rest of the machine.

    Attributes:
        mode: ``jail``, ``process`` for a process with a home and an environment of its own, or ``none``.
        layers: layers of the jail that were in force.
        missing: the others, each with what the system said.
    """

    mode: str
    layers: list[str] = msgspec.field(default_factory=list)
    missing: dict[str, str] = msgspec.field(default_factory=dict)


class AccelerationBody(Body, kw_only=True):
    """The keys that only acceleration records have.

    Attributes:
        config: of target, baseline and candidate.
        effect: what the candidate's acceleration methods do; None until that is known.
        speedup, latency, quality: what was measured, next to what is asked for.
        fidelity: mean of each metric of closeness and of the temporal difference over the samples, and how many images or
            videos are identical.
        image_statistics: what the images of both arms are like, by metric of single images.
        distribution: distances between the images of both arms as sets.
        null_band: of the baseline against itself.
        target_images: the candidate's images against the target's.
        achievement_ratio: speedup over required speedup of a hard task, without a cap.
        point_estimate: the verdicts of the bare values.
        times: everything that was timed.
        memory: peaks of both arms.
        unread_demands: parts of the task's text that read like demands and are not understood.
        isolation: of the candidate; None until it was started.
    """

    config: Configurations = msgspec.field(default_factory=Configurations)
    effect: Effect | None = None
    speedup: Speedup = msgspec.field(default_factory=Speedup)
    latency: Latency = msgspec.field(default_factory=Latency)
    quality: Quality = msgspec.field(default_factory=Quality)
    fidelity: dict[str, float | int | None] | None = None
    image_statistics: dict[str, ImageStatistic] | None = None
    distribution: Distribution | None = None
    null_band: NullBand | None = None
    target_images: TargetImages | None = None
    achievement_ratio: float | None = None
    point_estimate: PointEstimate | None = None
    times: Times | None = None
    memory: Memory | None = None
    unread_demands: list[str] = msgspec.field(default_factory=list)
    isolation: Isolation | None = None

    def settled(self, record: Record) -> None:
        """Set the achievement rate of a hard task that was not met, unless its evaluation measured one.

        A task that was skipped has none.
        """
        is_unclear = record.reason_code == "requirement_unclear"
        is_gated = record.difficulty == "hard" and (self.speedup.required is not None or is_unclear)
        not_met = record.verdict in ("fail", "inconclusive", "error")
        if is_gated and not_met and record.control is None and record.achievement_rate is None:
            record.achievement_rate = 0.0
