"""One acceleration case from its files to its record: configuration, rounds, scores, gates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bench.acceleration.cache import ContentCache
from bench.acceleration.case import AccelerationCase
from bench.acceleration.comparison import differences, is_per_image, missing_methods
from bench.acceleration.configuration import Configuration
from bench.acceleration.effect import effect_of, judge_effect
from bench.acceleration.freedom import split
from bench.acceleration.gates import (
    SUSPICIOUS_SPEEDUP,
    achievement,
    judge_configuration,
    judge_images,
    judge_next_to,
    judge_quality,
    percent,
    point_estimate,
)
from bench.acceleration.host.arm_factory import ArmFactory
from bench.acceleration.image_gates import ImageGates
from bench.acceleration.launching import SPEED_METRICS, Launching
from bench.acceleration.memory_use import judge_launches, note_memory
from bench.acceleration.observed_target import observe_baseline, observe_target
from bench.acceleration.pair import Pair
from bench.acceleration.prompts import Sample, SampleStream
from bench.acceleration.quality import Scoring
from bench.acceleration.quality_limits import extras_of, judge_limit
from bench.acceleration.record import AccelerationBody, Isolation, Memory
from bench.acceleration.references import References
from bench.acceleration.safeguards import forgiven, judge_safeguards
from bench.acceleration.samples import Videos, sample_files, write_samples, write_videos
from bench.acceleration.speed import SpeedMeasurement
from bench.acceleration.stills import stills_folder, write_stills
from bench.acceleration.timing import TimingPlan
from bench.core.errors import ScoringProblem, UnclearProblem
from bench.core.estimate import Estimate
from bench.core.evaluation import Evaluation, RunContext
from bench.core.record import Json
from bench.core.verdict import PASSED, Outcome, Verdict
from bench.statistics.sequential import SampleLooks, sample_looks

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
        self._image_warnings: list[str] = []
        self._quality: dict[str, Verdict] | None = (
            None  # where all samples were scored while the pair was timed
        )
        self._observed: dict[str, Configuration] = {}  # by role, with samples of the weights

    def __exit__(self, *error: object) -> None:
        """End all processes of the pair, and write what was measured into the run's directory."""
        super().__exit__(*error)
        write_samples(self.context.directory, self.record, self.rows, self.context.places)
        write_videos(self.context.directory, self.case.id, self.videos)
        write_stills(self.context.directory, self.case.id, self._pair.images(), self.rows)

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
        self.record.files |= stills_folder(self.case.id, self._pair.images())
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
        self.context.doing("target")
        first = self._inputs.samples.take(range(self._inputs.plan.batch_size))
        target = observe_target(
            case, self._pair, self._references, first, lambda: self._secret, self.context.requirements
        )
        config.target = target.without_weights()
        self._inputs.scoring.prepare()  # next to the candidate, which is not timed yet
        self.context.doing("candidate")
        candidate = self._pair.load("candidate", case.candidate_file)
        config.candidate = candidate.without_weights()
        jail = self._pair.candidate.process.jail
        self.body.isolation = Isolation(
            mode=self._inputs.arms.isolation,
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
        self.context.doing("baseline")
        observed = self._observed
        observed["baseline"] = observe_baseline(self.case, pair, self._references, observed["target"])
        self.body.config.baseline = observed["baseline"].without_weights()
        images = self._judge_images()
        if not images.holds:
            return self._conclude({"images": images})

        self._inputs.scoring.wait()
        speed = self._time()
        self.context.doing("quality")
        quality = self._score(speed.calls)
        pair.audit()
        self._record_raw(speed)
        images = self._judge_images()
        watched = self._look_at_images()
        if speed.rounds:
            pair.time_baseline()
        self._record_costs(speed)
        quality, said = forgiven(quality, self.body.target_images)
        self.record.warnings += [*self._image_warnings, *said]
        latency, speedup = speed.judge()
        # Other processes make a call slower, never faster: a latency within its limit would be so on a quiet machine too.
        if self.case.max_latency_s is not None and not latency.holds:
            latency = self._under_load("latency_s", latency)
        if self.case.required_speedup is not None:
            speedup = self._under_load("speedup", speedup)
        steady = judge_configuration(pair.drift[:1], self.body.config.free or ())
        return self._conclude(
            {
                "images": images, "steady": steady, "effect": self._judge_effect(), **watched, **quality,
                "latency": latency, "speedup": speedup,
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
        inputs = self._inputs
        self.body.memory = self.body.memory or Memory()
        launching = Launching(
            self.case, self._pair, inputs.arms, inputs.samples, inputs.cache, inputs.plan,
            self.context.requirements, self.body.memory,
        )  # fmt: skip

        def look(speed: SpeedMeasurement) -> bool:
            self._record_estimates(speed)
            self.context.doing(f"round {self.body.speedup.rounds}", self.body.speedup.text())
            return not speed.is_decided() and self._cannot_pass()

        return launching.measure(look)

    def _under_load(self, metric: str, verdict: Verdict) -> Verdict:
        """Return the verdict on a metric, undecided where it is one of speed and too much else was computed."""
        if metric not in SPEED_METRICS:
            return verdict
        return judge_next_to(self._foreign_load, self._inputs.plan.max_foreign_load, verdict)

    @property
    def _foreign_load(self) -> float | None:
        return None if self.body.times is None else self.body.times.foreign_load

    def _cannot_pass(self) -> bool:
        """Whether the images that the rounds have made fail a gate already, so that more launches would change nothing."""
        if not self._judge_images().holds:
            return True
        count = len(self._inputs.samples)
        if self._quality is None and self._pair.outputs(count) is not None:
            self._quality = self._judge_quality(count, 0.05)
        words = {verdict.verdict for name, verdict in (self._quality or {}).items() if name != "safeguards"}
        return bool(words & {"fail", "error"})

    def _score(self, calls: int) -> dict[str, Verdict]:
        """Score the pair, on half of the samples where that decides, and return the verdicts on its quality.

        Args:
            calls: how many batches both arms have made.
        """
        if self._quality is not None:
            return self._quality
        pair, samples, size = self._pair, self._inputs.samples, self._inputs.plan.batch_size
        # The first batch is watched: without another one, nothing could be audited.
        looks = sample_looks(len(samples), made=calls * size, step=size, least=2 * size)
        asked = any(
            one.asks(self.case) for one in self.context.requirements if one.metric not in SPEED_METRICS
        )
        if asked or self.case.quality:
            looks = SampleLooks((len(samples),), 0.05)  # what is required of a metric counts all samples
        for count in looks.counts:
            with pair.asking_both():
                pair.complete(calls, count)
            quality = self._judge_quality(count, looks.look_alpha)
            if all(verdict.verdict != "inconclusive" for verdict in quality.values()):
                break
        return quality

    @cached_property
    def _secret(self) -> list[Sample]:
        """Prompts with seeds that nobody knew before the run."""
        return self._references.secret_samples(self._inputs.samples, self._inputs.plan.batch_size)

    def _look_at_images(self) -> dict[str, Verdict]:
        inputs = self._inputs
        gates = ImageGates(
            self.case, self.body, self._pair, self._references, inputs.scoring, inputs.arms, inputs.samples,
            inputs.plan.batch_size,
        )  # fmt: skip
        return gates.look(self._secret, self.record.warnings)

    def _judge_quality(self, count: int, look_alpha: float) -> dict[str, Verdict]:
        outputs = self._pair.outputs(count)
        if outputs is None:
            return {}  # their own verdict says what is wrong
        samples = self._inputs.samples
        scores = self._inputs.scoring.compare(
            samples.take(range(count)),
            outputs["baseline"],
            outputs["candidate"],
            baseline_identity=self._references.baseline_identity(self._pair.baseline),
            seed=samples.run_seed,
            look_alpha=look_alpha,
            extras=extras_of(self.case.quality, self._inputs.extra_metrics),
        )
        body, loss = self.body, scores.loss
        body.quality.samples = count
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
            judged["safeguards"], self._image_warnings = judge_safeguards(
                scores, {limit.metric for limit in limits}
            )
        return judged

    def _record_estimates(self, speed: SpeedMeasurement) -> None:
        body, found = self.body, speed.estimates()
        body.speedup.rounds, body.speedup.launches = speed.rounds, speed.launches
        self._estimates |= found
        if found:
            speedup, latency = found["speedup"], found["latency_s"]
            body.speedup.value, body.speedup.low, body.speedup.high = speedup.value, speedup.low, speedup.high
            body.latency.value, body.latency.low, body.latency.high = latency.value, latency.low, latency.high

    def _record_raw(self, speed: SpeedMeasurement) -> None:
        self.body.times = speed.times
        self._record_costs(speed)
        self.body.memory = self.body.memory or Memory()
        note_memory(self.body.memory, speed.times, self._pair, on_gpu=self._inputs.arms.gpu is not None)

    def _record_costs(self, speed: SpeedMeasurement) -> None:
        speed.times.step_s, speed.times.part_s = dict(self._pair.step_s), dict(self._pair.part_s)

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
        card = None if body.times is None else body.times.card
        if card is not None and card.foreign_processes:
            record.warnings.append(
                f"{card.foreign_processes} other processes computed on the GPU while the pair was timed; a GPU without them "
                "makes the speedup surer"
            )
        holds = all(found[name].holds for name in ("images", "steady", "effect", "quality"))
        record.achievement_rate, body.achievement_ratio = achievement(case, holds, value)
        body.point_estimate = point_estimate(case, value, body.quality.loss, body.latency.value)
        record.metrics = dict(self._estimates)
        found["memory"] = judge_launches(body.memory, body.times)
        return self.conclude(found, self._estimates, review=self._under_load)
