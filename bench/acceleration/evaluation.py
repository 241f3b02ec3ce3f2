"""One acceleration case from its files to its record: configuration, rounds, scores, gates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import msgspec

from bench.acceleration.cache import ContentCache
from bench.acceleration.case import AccelerationCase
from bench.acceleration.comparison import differences, is_per_image, missing_methods
from bench.acceleration.configuration import Configuration
from bench.acceleration.effect import effect_of, judge_effect
from bench.acceleration.freedom import split
from bench.acceleration.gates import (
    SUSPICIOUS_SPEEDUP,
    achievement,
    gpu_bytes_needed,
    judge_configuration,
    judge_images,
    judge_memory,
    judge_next_to,
    judge_quality,
    percent,
    point_estimate,
)
from bench.acceleration.host.arm_factory import ArmFactory
from bench.acceleration.host.foreign_load import ForeignLoad
from bench.acceleration.null_band import perturbations_for
from bench.acceleration.pair import Pair
from bench.acceleration.prompts import Sample, SampleStream
from bench.acceleration.protocol.messages import GpuMemory
from bench.acceleration.quality import Scoring
from bench.acceleration.quality_limits import judge_limit
from bench.acceleration.record import AccelerationBody, Isolation, Memory
from bench.acceleration.references import References, as_reference_failure
from bench.acceleration.safeguards import judge_safeguards
from bench.acceleration.samples import Videos, sample_files, write_samples, write_videos
from bench.acceleration.speed import SpeedMeasurement
from bench.acceleration.target_images import changes_images, judge_target, not_claimed
from bench.acceleration.target_images import compare as compare_images
from bench.acceleration.timing import PairedTimer, TimingPlan
from bench.core.errors import ScoringProblem, UnclearProblem
from bench.core.estimate import Estimate
from bench.core.evaluation import Evaluation, RunContext
from bench.core.record import Json
from bench.core.verdict import PASSED, Outcome, Verdict
from bench.metrics.extra_metrics import EXTRAS

SPEED_METRICS = ("speedup", "latency_s")
GATES = ("images", "steady", "effect", "target", "quality", "safeguards", "memory", "latency", "speedup")
"""Names of the gates; the first that is missed decides."""


@dataclass(frozen=True)
class AccelerationResources:
    """What an acceleration case needs besides the run's context.

    Attributes:
        samples: prompts and seeds; the run's seed in it also seeds the bootstrap.
        cache: what the run computes once.
        scoring: CLIP scores.
        arms: starts arms on the leased cores or device.
        plan: sizes and limits of the timing.
        extra_metrics: metrics of other packages that are measured of every pair.
        has_safeguards: whether images must keep what no task asks for.
    """

    samples: SampleStream
    cache: ContentCache
    scoring: Scoring
    arms: ArmFactory
    plan: TimingPlan
    extra_metrics: tuple[str, ...] = ()
    has_safeguards: bool = True


class AccelerationEvaluation(Evaluation[AccelerationCase]):
    """Evaluates one case: `check_configuration`, then `measure`.

    Args:
        case: the case.
        context: what all cases of the run share.
        inputs: what acceleration cases need besides it.

    Attributes:
        rows: one plain row per quality sample, for ``predictions/``.
        videos: of both arms, where the pair makes videos; likewise.
    """

    def __init__(self, case: AccelerationCase, context: RunContext, inputs: AccelerationResources) -> None:
        super().__init__(case, context)
        self._inputs = inputs
        self.rows: list[Json] = []
        self.videos: Videos = {}
        self._references = References(inputs.cache, inputs.arms)
        self._pair = Pair(
            case.id, inputs.arms, inputs.samples, self._references,
            batch_size=inputs.plan.batch_size, processes=self.resources, target=case.target_file,
        )  # fmt: skip
        self._estimates: dict[str, Estimate] = {}
        self._observed: dict[str, Configuration] = {}  # by role, with samples of the weights

    def __exit__(self, *error: object) -> None:
        """End all processes of the pair, and write what was measured into the run's directory."""
        super().__exit__(*error)
        write_samples(self.context.directory, self.record, self.rows, self.context.places)
        write_videos(self.context.directory, self.case.id, self.videos)

    @property
    def body(self) -> AccelerationBody:
        """What the record has besides the common keys."""
        assert isinstance(self.record.body, AccelerationBody)
        return self.record.body

    def run(self) -> Outcome:
        """Evaluate the whole case; nothing is timed where the configuration differs.

        Raises:
            ModelgateError: what ends the case.
        """
        configuration = self.check_configuration()
        return self.measure() if configuration.holds else Outcome({"configuration": configuration})

    def check_configuration(self) -> Verdict:
        """Compare the candidate's configuration with the target's; nothing is timed before.

        Raises:
            TaskProblem: when the target cannot be read.
            ArmProblem: when the target or the candidate cannot be loaded or run.
        """
        with self.recording():
            verdict = self._check_configuration()
            if not verdict.holds:
                self.settle(verdict)
            return verdict

    def measure(self) -> Outcome:
        """Time the pair, score its images or videos, and judge all gates.

        The gates are ``images``, ``steady`` (the candidate did the same while it was timed), ``effect`` (the methods that
        the task asks for do something), ``target`` (who claims its configuration makes its images), ``quality``,
        ``safeguards``, one for each metric that the task limits, ``latency`` and ``speedup``. Where a score cannot be
        computed, ``quality`` is an error, and all else is reported.

        Raises:
            ArmProblem: when the baseline or the candidate fails.
        """
        with self.recording():
            return self._measure()

    def settle(self, verdict: Verdict) -> None:
        """Write the verdict, the duration and the names of the files into the record."""
        self.record.files = sample_files(self.case.id, has_rows=bool(self.rows), has_videos=bool(self.videos))
        super().settle(verdict)

    def _check_configuration(self) -> Verdict:
        case, config = self.case, self.body.config
        if case.is_unclear:
            raise UnclearProblem(
                "no demand of speed, latency or memory could be read from the text of this hard task"
                + (f" (unread: {'; '.join(map(repr, case.unread_demands))})" if case.unread_demands else "")
                + "; expected one, such as 'at least 2x faster'; write it so, or give required_speedup, max_latency_s or "
                "max_memory_gb"
            )
        assert case.target_file is not None, "a case without a problem has all its files"
        with as_reference_failure("target"):
            first = self._inputs.samples.take(range(self._inputs.plan.batch_size))
            target = self._references.target_configuration(case.target_file, first, case.id, self._secret)
        config.target = target.without_weights()
        candidate = self._pair.load("candidate", case.candidate_file)
        config.candidate = candidate.without_weights()
        jail = self._pair.candidate.process.jail
        self.body.isolation = Isolation(
            mode="jail" if jail else "process",
            layers=jail.get("layers", []),
            missing=jail.get("missing", {}),
        )
        self._observed |= {"target": target, "candidate": candidate}
        missing = missing_methods(case.required_methods, candidate)
        said = {entry.field for entry in missing}
        differing = [entry for entry in differences(target, candidate) if entry.field not in said]
        if self._pair.is_broken:  # with more or fewer images than prompts nothing can be said for each
            differing = [entry for entry in differing if not is_per_image(entry)]
        counting, config.free = split(differing, case.free, case.required_methods)
        config.mismatches = counting + missing
        return judge_configuration(config.mismatches, config.free)

    def _measure(self) -> Outcome:
        pair = self._pair
        with as_reference_failure("baseline"):
            self._observed["baseline"] = pair.load("baseline", self.case.baseline_file)
        self.body.config.baseline = self._observed["baseline"].without_weights()
        images = self._judge_images()
        if not images.holds:
            return self._conclude({"images": images})

        speed = self._time()
        with pair.asking_both():
            pair.complete(speed.calls)
        pair.audit()
        if speed.rounds:
            pair.time_baseline_steps()
        self._record_raw(speed)
        images = self._judge_images()
        watched = self._look_at_images()
        quality = self._judge_quality()
        latency, speedup = speed.judge()
        # Other processes make a call slower, never faster: a latency within its limit would be so on a quiet machine too.
        if self.case.max_latency_s is not None and not latency.holds:
            latency = self._under_load("latency_s", latency)
        if self.case.required_speedup is not None:
            speedup = self._under_load("speedup", speedup)
        return self._conclude(
            {
                "images": images, "steady": judge_configuration(pair.drift[:1]), "effect": self._judge_effect(),
                **watched, **quality, "latency": latency, "speedup": speedup,
            }
        )  # fmt: skip

    def _judge_effect(self) -> Verdict:
        """Judge whether the methods that the task asks for do anything, where the same pipeline without them was seen."""
        observed = self._observed
        self.body.effect = effect_of(
            observed["candidate"],
            [(role, observed[role]) for role in ("baseline", "target")],
            self._pair.differing_images(),
        )
        return judge_effect(self.body.effect, self.case.required_methods)

    def _judge_images(self) -> Verdict:
        is_size_free = any(entry.field.startswith("output.") for entry in self.body.config.free or ())
        return judge_images(self._pair.output_problems(any_size=is_size_free))

    def _time(self) -> SpeedMeasurement:
        inputs, pair = self._inputs, self._pair
        load = None
        if inputs.arms.gpu is None:
            load = ForeignLoad(inputs.arms.cores, (pair.baseline.process.pid, pair.candidate.process.pid))
        timer = PairedTimer(
            pair.baseline, pair.candidate,
            sample_at=inputs.samples.at, keep=pair.keep, plan=inputs.plan, load=load, per=pair.noun,
        )  # fmt: skip
        speed = SpeedMeasurement(self.case, timer, inputs.plan, seed=inputs.samples.run_seed)
        with pair.asking_both():
            for _ in speed.looks():
                self._record_estimates(speed)
                if pair.is_broken or speed.is_decided():
                    break
        return speed

    def _under_load(self, metric: str, verdict: Verdict) -> Verdict:
        """Return the verdict on a metric, undecided where it is one of speed and too much else was computed."""
        if metric not in SPEED_METRICS:
            return verdict
        return judge_next_to(self._foreign_load, self._inputs.plan.max_foreign_load, verdict)

    @property
    def _foreign_load(self) -> float | None:
        return None if self.body.times is None else self.body.times.foreign_load

    @cached_property
    def _secret(self) -> list[Sample]:
        """Prompts with seeds that nobody knew before the run."""
        return self._references.secret_samples(self._inputs.samples, self._inputs.plan.batch_size)

    def _look_at_images(self) -> dict[str, Verdict]:
        """Measure the null band of the baseline, and compare the candidate's images with the target's."""
        pair, case, body = self._pair, self.case, self.body
        with as_reference_failure("baseline"):
            legal = perturbations_for(case.free, on_gpu=self._inputs.arms.gpu is not None)
            own = self._references.null_images(pair.baseline, self._secret, legal)
            pair.baseline.process.pause()
        body.null_band = self._inputs.scoring.null_band(
            self._secret, own, self._references.baseline_identity(pair.baseline)
        )
        fields = changes_images(body.config.mismatches or (), body.config.free or ())
        if fields or pair.is_broken:
            body.target_images = not_claimed(fields) if fields else None
            return {}
        assert case.target_file is not None, "a case without a problem has all its files"
        assert case.baseline_file is not None, "a case without a problem has all its files"
        is_baseline = self._references.are_the_same(case.target_file, case.baseline_file)
        with as_reference_failure("target"):
            first = self._inputs.samples.take(range(self._inputs.plan.batch_size))
            target = (
                own
                if is_baseline
                else self._references.target_images(case.target_file, case.id, self._secret, first)
            )
        timed = pair.same_samples() if is_baseline else ()
        body.target_images = compare_images(pair.secret_images(self._secret), target, timed)
        if body.target_images.status == "not_repeated":
            self.record.warnings.append(str(body.target_images.note))
        return {"target": judge_target(body.target_images)}

    def _judge_quality(self) -> dict[str, Verdict]:
        outputs = self._pair.outputs()
        if outputs is None:
            return {}  # their own verdict says what is wrong
        samples = self._inputs.samples
        scores = self._inputs.scoring.compare(
            samples.take(range(len(samples))),
            outputs["baseline"],
            outputs["candidate"],
            baseline_identity=self._references.baseline_identity(self._pair.baseline),
            seed=samples.run_seed,
            extras=self._extras(),
        )
        body, loss = self.body, scores.loss
        # What could be computed is reported whatever could not.
        body.quality.baseline, body.quality.candidate = scores.baseline, scores.candidate
        body.quality.loss, body.quality.low, body.quality.high = loss.value, loss.low, loss.high
        body.fidelity, body.image_statistics = scores.fidelity(), scores.statistics()
        body.distribution = scores.distribution
        self._estimates |= scores.estimates()
        self.rows = scores.rows
        self.videos = outputs if self._pair.noun == "video" else {}
        if scores.problems:
            return {"quality": Verdict("error", ScoringProblem.reason_code, scores.problems[0])}
        limits = self.case.quality
        judged = {"quality": judge_quality(loss, self.case.max_quality_loss)}
        judged |= {
            f"quality of {limit.metric}": judge_limit(limit, scores, body.null_band)
            for limit in limits
            if not limit.lifted
        }
        if self._inputs.has_safeguards:
            judged["safeguards"], warnings = judge_safeguards(scores, {limit.metric for limit in limits})
            self.record.warnings += warnings
        return judged

    def _extras(self) -> list[str]:
        """Return the metrics of other packages that the run or the task asks for."""
        asked = [limit.metric for limit in self.case.quality if not limit.lifted]
        return list(dict.fromkeys([*self._inputs.extra_metrics, *(name for name in asked if name in EXTRAS)]))

    def _record_estimates(self, speed: SpeedMeasurement) -> None:
        body, found = self.body, speed.estimates()
        body.speedup.rounds = speed.rounds
        self._estimates |= found
        if found:
            speedup, latency = found["speedup"], found["latency_s"]
            body.speedup.value, body.speedup.low, body.speedup.high = speedup.value, speedup.low, speedup.high
            body.latency.value, body.latency.low, body.latency.high = latency.value, latency.low, latency.high

    def _record_raw(self, speed: SpeedMeasurement) -> None:
        self.body.times = speed.times
        self.body.times.step_s = dict(self._pair.step_s)
        memory = self.body.memory = self.body.memory or Memory()
        for role, arm in (("baseline", self._pair.baseline), ("candidate", self._pair.candidate)):
            setattr(memory, f"{role}_peak_bytes", arm.peak_bytes())
            for name, value in msgspec.structs.asdict(arm.gpu_memory() or GpuMemory()).items():
                setattr(memory, f"{role}_{name}", value)

    def _judge_memory(self) -> Verdict:
        memory = self.body.memory
        if memory is None:
            return PASSED
        on_gpu = self._inputs.arms.gpu is not None
        needed = gpu_bytes_needed(memory) if on_gpu else memory.candidate_peak_bytes
        return judge_memory(needed, memory.allowed_bytes)

    def _conclude(self, judged: dict[str, Verdict]) -> Outcome:
        """Settle the case by the gates that were judged; those that were not are passed."""
        record, body, case = self.record, self.body, self.case
        found = dict.fromkeys(GATES, PASSED) | judged
        value = body.speedup.value
        if value is not None and value > SUSPICIOUS_SPEEDUP:
            record.warnings.append(
                f"a speedup of {value:.1f}x is rarely real; look at what it makes and at the denoiser calls"
            )
        load = self._foreign_load
        if load is not None and load > self._inputs.plan.max_foreign_load / 2:
            record.warnings.append(
                f"other processes used {percent(load)} of the leased cores while the pair was timed; a quiet machine or "
                "--exclusive makes the speedup surer"
            )
        holds = all(found[name].holds for name in ("images", "steady", "effect", "quality"))
        record.achievement_rate, body.achievement_ratio = achievement(case, holds, value)
        body.point_estimate = point_estimate(case, value, body.quality.loss, body.latency.value)
        record.metrics = dict(self._estimates)
        found["memory"] = self._judge_memory()
        return self.conclude(found, self._estimates, review=self._under_load)
