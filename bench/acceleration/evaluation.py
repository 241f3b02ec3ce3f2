"""One acceleration case from its files to its record: configuration, rounds, scores, gates."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.acceleration import gates as judge
from bench.acceleration.cache import ContentCache
from bench.acceleration.configuration import mismatches, missing_methods
from bench.acceleration.gallery import Gallery
from bench.acceleration.host.arm_factory import ArmFactory
from bench.acceleration.host.pipeline_arm import Batch, PipelineArm
from bench.acceleration.prompts import SampleStream
from bench.acceleration.quality import Scoring
from bench.acceleration.references import References, blame
from bench.acceleration.timing import PairedTimer, TimingPlan
from bench.core.case import AccelerationCase
from bench.core.errors import ArmProblem
from bench.core.record import Verdict, blank_record, settle, verdict_of, worst
from bench.statistics.paired_times import MIN_ROUNDS, SequentialTest, precise_enough

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Inputs:
    """What all cases of a run share.

    Attributes:
        samples: prompts and seeds; the run's seed in it also seeds the bootstrap.
        cache: what the run computes once.
        scoring: CLIP scores.
        plan: sizes and limits of the timing.
    """

    samples: SampleStream
    cache: ContentCache
    scoring: Scoring
    plan: TimingPlan


@dataclass
class Measured:
    """The gates of a measured pair. ``reason`` and ``verdict`` are those of the gate that decides."""

    images: Verdict
    quality: Verdict
    latency: Verdict
    speedup: Verdict
    steady: Verdict = field(default_factory=lambda: Verdict("pass", "passed", ""))

    @property
    def verdict(self) -> Verdict:
        """The verdict that decides the case."""
        return worst([self.images, self.steady, self.quality, self.latency, self.speedup])

    @property
    def reason(self) -> str:
        """Why the case ends as it does."""
        return self.verdict.reason


class PairEvaluation:
    """Evaluates one case; a context manager that ends every process it started.

    Args:
        case: the case.
        arms: starts arms on the leased cores or device.
        inputs: what all cases share.

    Attributes:
        record: the case's record, complete at every moment as far as things went.
        samples_log: one plain row per quality sample, for ``predictions/``.
    """

    def __init__(self, case: AccelerationCase, arms: ArmFactory, inputs: Inputs) -> None:
        self.case, self._arms, self._inputs = case, arms, inputs
        self.record = blank_record(case)
        self.samples_log: list[dict[str, Any]] = []
        self._first = list(range(inputs.plan.batch_size))  # samples of the first call
        self._references = References(inputs.cache, arms)
        self._test = SequentialTest()
        self._processes = ExitStack()
        self._galleries = {"baseline": Gallery("baseline"), "candidate": Gallery("candidate")}
        self._candidate: PipelineArm | None = None
        self._drift: list[dict] = []
        self._started = time.monotonic()

    def __enter__(self) -> PairEvaluation:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes of the pair."""
        self._processes.close()

    def check_configuration(self) -> Verdict:
        """Compare the candidate's configuration with the target's; nothing is timed before.

        Raises:
            TaskProblem: when the target cannot be read.
            ArmProblem: when the target or the candidate cannot be loaded or run.
        """
        with self._recording():
            return self._check_configuration()

    def measure(self) -> Measured:
        """Time the pair, score its images, and judge all gates.

        Raises:
            ArmProblem: when the baseline or the candidate fails.
        """
        with self._recording():
            return self._measure()

    def verdict(self) -> Verdict:
        """Evaluate the whole case without raising for what its arms do; for controls."""
        try:
            configuration = self.check_configuration()
            return configuration if not configuration.holds else self.measure().verdict
        except ArmProblem as problem:
            return verdict_of(problem)

    @contextmanager
    def _recording(self) -> Iterator[None]:
        """Write whatever is raised into the record, on its way to pytest."""
        try:
            yield
        except Exception as error:
            self._fail(error)
            raise

    def _check_configuration(self) -> Verdict:
        assert self.case.target_file is not None
        with blame("target"):
            target = self._references.target_configuration(
                self.case.target_file, self._inputs.samples.at(0), self.case.id
            )
        self.record["config"]["target"] = target.to_record()
        candidate = self._load("candidate", self.case.candidate_file)
        self._candidate = candidate
        batch = candidate.first_call(self._inputs.samples.take(self._first))
        self._keep("candidate", self._first, batch)
        candidate.process.pause()
        assert candidate.configuration is not None
        self.record["config"]["candidate"] = candidate.configuration.to_record()
        found = mismatches(target, candidate.configuration)
        found += missing_methods(self.case.required_methods, candidate.configuration)
        self.record["config"]["mismatches"] = found
        verdict = judge.judge_configuration(found)
        return verdict if verdict.holds else self._settle(verdict)

    def _measure(self) -> Measured:
        assert self._candidate is not None, "check_configuration() comes first"
        candidate = self._candidate
        with blame("baseline"):
            baseline = self._load("baseline", self.case.baseline_file)
            batch = baseline.first_call(self._inputs.samples.take(self._first))
        baseline.process.pause()
        assert baseline.configuration is not None
        self.record["config"]["baseline"] = baseline.configuration.to_record()
        self._keep("baseline", self._first, batch)
        early = self._image_verdict()
        if not early.holds:
            return self._conclude(Measured(early, *[Verdict("pass", "passed", "")] * 3))

        timer = self._time(baseline, candidate)
        self._complete(baseline, candidate, timer.calls)
        self._record_times(timer, baseline, candidate)
        images = self._image_verdict()
        quality = self._quality(baseline)
        latency, speedup = self._judge_times(timer)
        steady = judge.judge_configuration(self._drift[:1])
        return self._conclude(Measured(images, quality, latency, speedup, steady))

    def _fail(self, error: Exception) -> None:
        self.record["output_tail"] = getattr(error, "output_tail", None)
        self._settle(verdict_of(error))

    # -- arms ------------------------------------------------------------------------------------

    def _load(self, role: str, file: Path | None) -> PipelineArm:
        assert file is not None
        process = self._processes.enter_context(self._arms.start(role, self.case.id))
        arm = PipelineArm(process, file, self._arms.device, self._arms.limits.load_timeout_s)
        arm.load()
        return arm

    # -- samples ---------------------------------------------------------------------------------

    def _keep(self, role: str, indices: list[int], batch: Batch) -> None:
        gallery = self._galleries[role]
        if not gallery.add(indices, batch):
            return
        for index in [index for index in indices if index >= len(self._inputs.samples)]:
            del gallery.images[index]  # such samples only serve the clock
        if role == "candidate" and self._candidate is not None and self._candidate.configuration is not None:
            for name in ("num_inference_steps", "scheduler_steps"):
                first, now = getattr(self._candidate.configuration, name), batch.observed.get(name)
                if (now or None) != first:
                    self._drift.append({"field": f"{name} while timed", "target": first, "candidate": now})

    def _complete(self, baseline: PipelineArm, candidate: PipelineArm, calls: int) -> None:
        """Make the quality samples that the timed rounds did not: the baseline's once per run."""
        count, size = len(self._inputs.samples), self._inputs.plan.batch_size
        missing = range(min(calls * size, count), count)
        chunks = [list(missing[start : start + size]) for start in range(0, len(missing), size)]
        baseline.process.pause()
        for indices in chunks:
            self._keep("candidate", indices, candidate.generate(self._inputs.samples.take(indices)))
        candidate.process.pause()
        with blame("baseline"):
            for indices in chunks:
                self._complete_baseline(baseline, indices)
        baseline.process.pause()

    def _complete_baseline(self, baseline: PipelineArm, indices: list[int]) -> None:
        gallery, samples = self._galleries["baseline"], self._inputs.samples.take(indices)

        def generate() -> list[np.ndarray]:
            self._keep("baseline", indices, baseline.generate(samples))
            self._require_sound_baseline()
            return [gallery.images[index] for index in indices]

        images = self._references.baseline_images(baseline, samples, generate)
        gallery.images.update(zip(indices, images, strict=True))

    def _require_sound_baseline(self) -> None:
        problems = self._galleries["baseline"].check()
        if problems:
            raise ArmProblem("reference_failed", f"{problems[0]}; mend the baseline", role="baseline")

    # -- gates -----------------------------------------------------------------------------------

    def _time(self, baseline: PipelineArm, candidate: PipelineArm) -> PairedTimer:
        timer = PairedTimer(
            baseline, candidate, sample_at=self._inputs.samples.at, keep=self._keep, plan=self._inputs.plan
        )
        timer.warm_up()
        look = self._test.next_look(0)
        while look is not None:
            rounds = timer.run_until(look)
            if rounds < look or self._galleries["candidate"].problems or self._decided(timer):
                break
            look = self._test.next_look(rounds)
        return timer

    def _decided(self, timer: PairedTimer) -> bool:
        latency, speedup = self._judge_times(timer)
        if latency.verdict == "inconclusive" or speedup.verdict == "inconclusive":
            return False
        gated = self.case.required_speedup is not None or self.case.max_latency_s is not None
        if gated or self.case.is_control:  # nobody reads how fast a control is
            return True
        plan = self._inputs.plan
        return len(timer.times.rounds) >= plan.ungated_rounds or precise_enough(
            self._speedup(timer), plan.ungated_precision
        )

    def _speedup(self, timer: PairedTimer) -> Any:
        times = timer.times
        return self._test.interval(
            times.per_image_s("baseline"), times.per_image_s("candidate"), seed=self._inputs.samples.run_seed
        )

    def _judge_times(self, timer: PairedTimer) -> tuple[Verdict, Verdict]:
        rounds = len(timer.times.rounds)
        self.record["speedup"]["rounds"] = rounds
        if rounds < MIN_ROUNDS:
            return judge.judge_too_few_rounds(self.case, rounds, MIN_ROUNDS)
        speedup = self._speedup(timer)
        self.record["speedup"].update(value=speedup.value, low=speedup.low, high=speedup.high, rounds=rounds)
        latency = self._test.latency_interval(
            timer.times.per_image_s("candidate"), seed=self._inputs.samples.run_seed
        )
        self.record["latency"].update(value=latency.value, low=latency.low, high=latency.high)
        return (
            judge.judge_latency(latency, self.case.max_latency_s, rounds),
            judge.judge_speedup(speedup, self.case.required_speedup, rounds),
        )

    def _image_verdict(self) -> Verdict:
        self._require_sound_baseline()
        return judge.judge_images(self._galleries["candidate"].check(self._galleries["baseline"]))

    def _quality(self, baseline: PipelineArm) -> Verdict:
        images = {role: gallery.images for role, gallery in self._galleries.items()}
        indices = list(range(len(self._inputs.samples)))
        if any(len(found) < len(indices) for found in images.values()):
            return Verdict("pass", "passed", "")  # the images' own verdict says what is wrong
        quality = self._inputs.scoring.compare(
            self._inputs.samples.take(indices),
            [images["baseline"][index] for index in indices],
            [images["candidate"][index] for index in indices],
            baseline_identity=self._references.baseline_identity(baseline),
            seed=self._inputs.samples.run_seed,
        )
        loss = quality.loss
        self.record["quality"].update(
            baseline=quality.baseline,
            candidate=quality.candidate,
            loss=loss.value,
            low=loss.low,
            high=loss.high,
        )
        self.record["fidelity"] = quality.fidelity()
        self.samples_log = quality.rows
        return judge.judge_quality(loss, self.case.max_quality_loss)

    # -- record ----------------------------------------------------------------------------------

    def _record_times(self, timer: PairedTimer, baseline: PipelineArm, candidate: PipelineArm) -> None:
        self.record["times"] = timer.times.to_record()
        self.record["memory"] = {
            "baseline_peak_bytes": baseline.peak_bytes(),
            "candidate_peak_bytes": candidate.peak_bytes(),
        }

    def _conclude(self, measured: Measured) -> Measured:
        record, case = self.record, self.case
        value = record["speedup"]["value"]
        if value is not None and value > judge.SUSPICIOUS_SPEEDUP:
            record["warnings"].append(
                f"a speedup of {value:.1f}x is rarely real; look at the images and at the denoiser calls"
            )
        disagreements = (record["config"]["candidate"] or {}).get("disagreements") or []
        record["warnings"] += [f"source and object disagree on {entry['field']}" for entry in disagreements]
        gates_hold = measured.images.holds and measured.quality.holds and measured.steady.holds
        record["achievement_rate"], record["achievement_ratio"] = judge.achievement(case, gates_hold, value)
        record["point_estimate"] = judge.point_estimate(
            case, value, record["quality"]["loss"], record["latency"]["value"]
        )
        self._settle(measured.verdict)
        return measured

    def _settle(self, verdict: Verdict) -> Verdict:
        record = self.record
        if verdict.verdict != "pass" and record["achievement_rate"] is None:
            record["achievement_rate"], record["achievement_ratio"] = judge.achievement(
                self.case, False, None
            )
        settle(record, verdict)
        record["duration_s"] = time.monotonic() - self._started
        return verdict
