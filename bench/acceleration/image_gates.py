"""What images say besides their scores: the null band of the baseline, and the candidate's images against the target's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.acceleration.case import AccelerationCase
from bench.acceleration.host.arm_factory import ArmFactory
from bench.acceleration.null_band import perturbations_for
from bench.acceleration.observed_target import is_baseline
from bench.acceleration.pair import Pair
from bench.acceleration.prompts import Sample, SampleStream
from bench.acceleration.quality import Scoring
from bench.acceleration.record import AccelerationBody
from bench.acceleration.references import References, as_reference_failure
from bench.acceleration.target_images import changes_images, judge_target, not_claimed
from bench.acceleration.target_images import compare as compare_images
from bench.core.verdict import Verdict


@dataclass(frozen=True)
class ImageGates:
    """Looks at the images of a pair that has been timed.

    Attributes:
        case: the case.
        body: of its record, which is filled in.
        pair: its arms, both running.
        references: what the run makes once.
        scoring: measures metrics.
        arms: what the arms run on.
        samples: prompts and seeds.
        batch_size: samples of one call.
    """

    case: AccelerationCase
    body: AccelerationBody
    pair: Pair
    references: References
    scoring: Scoring
    arms: ArmFactory
    samples: SampleStream
    batch_size: int

    def look(self, secret: Sequence[Sample], warnings: list[str]) -> dict[str, Verdict]:
        """Measure the null band of the baseline, and compare the candidate's images with the target's.

        Args:
            secret: prompts with seeds that nobody knew before the run.
            warnings: of the record; what cannot be said is added.

        Returns:
            The verdict of the gate ``target``; nothing where what is free may change images.
        """
        pair, case, body, secret = self.pair, self.case, self.body, list(secret)
        own = pair.null_images(secret, perturbations_for(case.free, on_gpu=self.arms.gpu is not None))
        body.null_band = self.scoring.null_band(secret, own, self.references.baseline_identity(pair.baseline))
        fields = changes_images(body.config.mismatches or (), body.config.free or ())
        if fields or pair.is_broken:
            body.target_images = not_claimed(fields) if fields else None
            return {}
        assert case.target_file is not None, "a case without a problem has all its files"
        is_own = is_baseline(case, self.references)
        with as_reference_failure("target"):
            first = self.samples.take(range(self.batch_size))
            target = (
                own if is_own else self.references.target_images(case.target_file, case.id, secret, first)
            )
        timed = pair.same_samples() if is_own else ()
        body.target_images = compare_images(
            pair.secret_images(secret), target, timed, rounds=rounds_otherwise(body)
        )
        if body.target_images.status == "not_repeated":
            warnings.append(str(body.target_images.note))
        return {"target": judge_target(body.target_images)}


def rounds_otherwise(body: AccelerationBody) -> bool:
    """Whether torch is set to another precision for one of the calls alone; the configuration says nothing of that."""
    calls = [found.call for found in (body.config.target, body.config.candidate) if found is not None]
    states = [{} if call is None else call.state for call in calls]
    return (
        len({repr({name: one for name, one in state.items() if "autocast" in name}) for state in states}) > 1
    )
