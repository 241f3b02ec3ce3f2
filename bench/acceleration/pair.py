"""A baseline and a candidate under evaluation, with the images or videos that they make."""

from __future__ import annotations

import math
import secrets
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.acceleration.cache import ContentCache
from bench.acceleration.comparison import Mismatch
from bench.acceleration.compute_threads import chosen
from bench.acceleration.configuration import Configuration
from bench.acceleration.gallery import Gallery
from bench.acceleration.host.arm_factory import ArmFactory
from bench.acceleration.host.card import Card
from bench.acceleration.host.own_call import SeenCall
from bench.acceleration.host.pipeline_arm import Batch, PipelineArm
from bench.acceleration.host.process import ArmProcess
from bench.acceleration.null_band import NullImages
from bench.acceleration.null_launch import null_launch
from bench.acceleration.prompts import Sample, SampleStream
from bench.acceleration.references import References, as_reference_failure
from bench.acceleration.times import NullLaunch
from bench.acceleration.timing import ROLES, TimingPlan
from bench.core.errors import ArmProblem
from bench.core.record import Json
from bench.machine.cores import threads_for
from bench.metrics.image_fidelity import frames_of

if TYPE_CHECKING:
    import numpy as np

# Mean absolute difference of pixels, of 255, that two calls with the same samples may have.
_SAME = 0.25
# Difference of one pixel that is rounding.
_ROUNDING = 1


class Pair:
    """Loads both arms, makes their images or videos and keeps them by sample.

    Args:
        name: of the case; part of the names of logs.
        arms: starts arms on the leased cores or device.
        samples: prompts and seeds.
        references: what the run makes once of its baselines.
        batch_size: samples of one call.
        processes: ends what is started here.
        target: the target's file, like which a file is called that makes no call.

    Attributes:
        card: the GPU that both arms have; None on a processor.
        drift: what the candidate did differently after its first call.
        step_s: median seconds between two steps by role, each from a warm call that is not timed.
        part_s: seconds of each sort of part of the pipeline in that call, by role.
        paces: seconds of a call of the target's denoisers by number of compute threads, of which the arms' is chosen.
    """

    def __init__(
        self,
        name: str,
        arms: ArmFactory,
        samples: SampleStream,
        references: References,
        *,
        batch_size: int,
        processes: ExitStack,
        target: Path | None = None,
    ) -> None:
        self._name, self._arms, self._samples, self._references = name, arms, samples, references
        self._batch_size, self._processes, self._target = batch_size, processes, target
        self._first = list(range(batch_size))  # samples of the first call
        self._galleries = {role: Gallery(role) for role in ROLES}
        self._loaded: dict[str, PipelineArm] = {}
        self.card = None if arms.gpu is None else Card()
        self._seen: dict[str, SeenCall] = {}
        self._running = {role: ExitStack() for role in ROLES}
        self._audited: tuple[list[Sample], list[np.ndarray]] | None = None
        self._completed = 0  # samples
        self._later_batches = 0  # of the candidate, since it was started
        self.drift: list[Mismatch] = []
        self.paces: dict[int, float] = {}
        self.step_s: dict[str, float | None] = dict.fromkeys(ROLES)
        self.part_s: dict[str, dict[str, float] | None] = dict.fromkeys(ROLES)

    @property
    def baseline(self) -> PipelineArm:
        """The loaded baseline."""
        return self._loaded["baseline"]

    @property
    def candidate(self) -> PipelineArm:
        """The loaded candidate."""
        return self._loaded["candidate"]

    def compute_as_fast_as(self, paces: Mapping[int, float], *, is_latency_limited: bool) -> None:
        """Choose how many threads both arms compute with; called before any is started.

        Args:
            paces: of the target, by number of threads.
            is_latency_limited: whether a limit of seconds, which stands for the whole machine, leaves no choice.
        """
        self.paces = dict(paces)
        if not is_latency_limited:
            most = threads_for(list(self._arms.cores))
            self._arms = replace(self._arms, threads=chosen(paces, most))

    def load(self, role: str, file: Path | None) -> Configuration:
        """Start an arm, load its file, make the first batch, and leave the arm asleep.

        Raises:
            ArmProblem: when the arm cannot load or generate.
        """
        assert file is not None, "a case without a problem has all its files"
        seen = self._seen[role] = self._references.call_for(file, role, self._name, self._target)
        self._processes.enter_context(self._running[role])
        arm = self._started(
            role,
            seen,
            lambda process: PipelineArm(
                process, file, self._arms.device, self._arms.limits.load_timeout_s, self.card
            ),
        )
        batch = arm.first_call(self._samples.take(self._first))
        arm.process.pause()
        self._loaded[role] = arm
        self.keep(role, self._first, batch)
        assert arm.configuration is not None
        return arm.configuration

    def _started(self, role: str, seen: SeenCall, made: Callable[[ArmProcess], PipelineArm]) -> PipelineArm:
        """Start the process of an arm and load its file, with room on the card where there is one."""

        def started() -> PipelineArm:
            process = self._running[role].enter_context(self._arms.start(role, self._name))
            arm = made(process)
            try:
                arm.load(seen)
            except ArmProblem:
                process.close()
                raise
            return arm

        if self.card is None:
            return started()
        self.card.give_to(role)  # where the arms take turns, the other one has to leave first
        arm = self.card.with_room(role, started)
        self.card.add(arm)
        return arm

    def relaunch(self) -> list[str]:
        """End both arms and start them again, with new private directories; return the order in which they were started.

        Raises:
            ArmProblem: when one of them cannot load again.
        """
        for role in ROLES:
            self._running[role].close()
        if self.card is not None:
            self.card.empty()
        order = list(ROLES)
        secrets.SystemRandom().shuffle(order)
        self._audited, self._later_batches = None, 0
        for role in order:
            before = self._loaded[role]
            arm = self._loaded[role] = self._started(role, self._seen[role], before.again)
            arm.process.pause()
            if role == "candidate":
                self.drift += [
                    Mismatch(field=f"{name} in a later launch", target=then, candidate=now)
                    for name in ("pipeline_class", "model_id", "scheduler_class", "methods")
                    if (then := getattr(before.loaded_as, name)) != (now := getattr(arm.loaded_as, name))
                ]
        return order

    @property
    def pids(self) -> tuple[int, int]:
        """The processes of both arms."""
        return self.baseline.process.pid, self.candidate.process.pid

    def null_launch(self, cache: ContentCache, plan: TimingPlan, *, of_memory: bool) -> NullLaunch:
        """Return the run's launch of a baseline against itself, from whichever case needs it first."""
        with as_reference_failure("baseline"):
            return null_launch(
                cache, self._arms, self.baseline, self._seen["baseline"],
                case_id=self._name, samples=self._samples, plan=plan, of_memory=of_memory,
            )  # fmt: skip

    def keep(self, role: str, indices: list[int], batch: Batch) -> None:
        """Keep what a batch made."""
        gallery = self._galleries[role]
        if not gallery.add(indices, batch):
            return
        if role == "candidate" and indices != self._first:
            self._later_batches += 1
            if (
                secrets.randbelow(self._later_batches) == 0
            ):  # each is as likely, and which one, nobody knows before
                self._audited = ([self._samples.at(index) for index in indices], batch.outputs)
        for index in [index for index in indices if index >= len(self._samples)]:
            del gallery.outputs[index]  # such samples only serve the clock

    def audit(self) -> None:
        """Make one of the candidate's batches of this launch again while steps and calls are counted, and note what differs.

        Calls after the first one run without hooks, the timed ones among them, so nothing was counted in them. A candidate
        that did less work there than in its first call made other images there than it makes now.
        """
        if self._audited is None or self._galleries["candidate"].problems:
            return
        samples, timed = self._audited
        first, batch = self.candidate.first_observed, self.candidate.audit(samples)
        self._note_costs("candidate", batch)
        self.drift += [
            Mismatch(field=f"{name} in a later call", target=before, candidate=now)
            for name in ("num_inference_steps", "scheduler_steps", "denoiser_calls_per_image")
            if (before := getattr(first, name)) != (now := getattr(batch.observed, name))
        ]
        distance = _distance(timed, batch.outputs)
        if distance:  # some methods draw at random: how far apart are two calls that are both watched?
            band = _distance(batch.outputs, self.candidate.audit(samples).outputs)
            if distance > _SAME + 2 * band:
                self.drift.append(
                    Mismatch(
                        field=f"{self.noun}s while not watched",
                        target="those of the same call now",
                        candidate=f"{distance:.1f} grey levels away",
                    )
                )
        self.candidate.process.pause()

    def _note_costs(self, role: str, batch: Batch) -> None:
        self.step_s[role], self.part_s[role] = batch.observed.step_s, batch.observed.part_s

    def null_images(self, samples: Sequence[Sample], perturbations: Sequence[str]) -> NullImages:
        """Return the baseline's images of secret samples, some of them made again, from the first case that needs them."""

        def reference() -> list[np.ndarray]:
            batch = self.baseline.audit(list(samples))  # is not timed as a whole, so that its steps may be
            if len(samples) == self._batch_size:
                self._note_costs("baseline", batch)
            return batch.outputs

        with as_reference_failure("baseline"):
            found = self._references.null_images(self.baseline, samples, perturbations, reference)
            self.baseline.process.pause()
        return found

    def time_baseline(self) -> None:
        """Take what the baseline's steps and parts take from the first case of the run that measured it."""
        if self.baseline.first_observed.scheduler_steps > 1:
            costs = self._references.baseline_costs(self.baseline, self._batch_size, self._baseline_costs)
            self.step_s["baseline"], self.part_s["baseline"] = costs["step_s"], costs["part_s"]

    def _baseline_costs(self) -> Json:
        """Make the baseline's first batch again, unless another call of it was watched since it is warm."""
        if self.step_s["baseline"] is None:
            with as_reference_failure("baseline"):
                self._note_costs("baseline", self.baseline.audit(self._samples.take(self._first)))
            self.baseline.process.pause()
        return {"step_s": self.step_s["baseline"], "part_s": self.part_s["baseline"]}

    def complete(self, calls: int, count: int | None = None) -> None:
        """Make what is missing, of samples that the timed rounds did not: the baseline's once per run.

        Args:
            calls: how many batches both arms have made.
            count: how many samples are needed; all where it is left out.
        """
        count, size = len(self._samples) if count is None else count, self._batch_size
        missing = range(min(max(calls * size, self._completed), count), count)
        if not missing:
            return
        self._completed = count
        chunks = [list(missing[start : start + size]) for start in range(0, len(missing), size)]
        self.baseline.process.pause()
        for indices in chunks:
            self.keep("candidate", indices, self.candidate.generate(self._samples.take(indices)))
        self.candidate.process.pause()
        with as_reference_failure("baseline"):
            for indices in chunks:
                self._complete_baseline(indices)
        self.baseline.process.pause()

    def _complete_baseline(self, indices: list[int]) -> None:
        gallery, samples = self._galleries["baseline"], self._samples.take(indices)

        def generate() -> list[np.ndarray]:
            batch = self.baseline.audit(samples)  # no timed call, and so one in which steps may be timed
            self._note_costs("baseline", batch)
            self.keep("baseline", indices, batch)
            self._require_sound_baseline()
            return [gallery.outputs[index] for index in indices]

        outputs = self._references.baseline_outputs(self.baseline, samples, generate)
        gallery.outputs.update(zip(indices, outputs, strict=True))

    def _require_sound_baseline(self) -> None:
        problems = self._galleries["baseline"].check()
        if problems:
            raise ArmProblem("reference_failed", f"{problems[0]}; fix the baseline", role="baseline")

    @contextmanager
    def asking_both(self) -> Iterator[None]:
        """Blame the candidate for no prompt that the baseline does not take either, and for no failure of the baseline."""
        try:
            yield
        except ArmProblem as problem:
            with as_reference_failure("baseline"):
                if problem.role == "baseline":
                    raise
                if isinstance(problem.sample, Sample):
                    self.baseline.generate([problem.sample])
            raise

    @property
    def is_broken(self) -> bool:
        """Whether a batch of the candidate could not be used at all."""
        return bool(self._galleries["candidate"].problems)

    @property
    def noun(self) -> str:
        """What the pair makes: ``image`` or ``video``."""
        return self._galleries["baseline"].noun

    def output_problems(self, *, any_size: bool = False) -> list[str]:
        """Return what is wrong with the candidate's images or videos.

        Args:
            any_size: whether their sizes may differ from the baseline's.

        Raises:
            ArmProblem: when something is wrong with the baseline's.
        """
        self._require_sound_baseline()
        return self._galleries["candidate"].check(self._galleries["baseline"], any_size=any_size)

    def outputs(self, count: int | None = None) -> dict[str, list[np.ndarray]] | None:
        """Return the images or videos of both arms for the first samples, or for all; None where some are missing."""
        indices = range(len(self._samples) if count is None else count)
        if any(index not in gallery.outputs for gallery in self._galleries.values() for index in indices):
            return None
        return {
            role: [gallery.outputs[index] for index in indices] for role, gallery in self._galleries.items()
        }

    def images(self) -> dict[str, dict[int, np.ndarray]]:
        """Return the images or videos of the scored samples that both arms have made so far, by number."""
        scored = range(len(self._samples))
        return {
            role: {number: gallery.outputs[number] for number in scored if number in gallery.outputs}
            for role, gallery in self._galleries.items()
        }

    def same_samples(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the candidate's image of each sample that both arms made, next to the baseline's."""
        baseline, candidate = (self._galleries[role].outputs for role in ROLES)
        return [(candidate[index], baseline[index]) for index in sorted(baseline.keys() & candidate.keys())]

    def secret_images(self, samples: list[Sample]) -> list[np.ndarray]:
        """Return what the candidate makes of secret samples, in a call like the timed ones."""
        outputs = self.candidate.generate(samples).outputs
        self.candidate.process.pause()
        return outputs

    def differing_images(self) -> tuple[int, int] | None:
        """Return how many images of the candidate are others than the baseline's, and of how many samples both are there."""
        galleries = [self._galleries[role].outputs for role in ROLES]
        shared = sorted(galleries[0].keys() & galleries[1].keys())
        if not shared:
            return None
        return sum(_differ(*(images[index] for images in galleries)) for index in shared), len(shared)


def _differ(image: np.ndarray, other: np.ndarray) -> bool:
    """Whether two images differ by more than rounding."""
    if image.shape != other.shape:
        return True
    return bool((abs(image.astype(int) - other.astype(int)) > _ROUNDING).any())


def _distance(outputs: list[np.ndarray], others: list[np.ndarray]) -> float:
    """Return the mean absolute difference of pixels; infinity where the forms differ."""
    if [output.shape for output in outputs] != [other.shape for other in others]:
        return math.inf
    pairs = zip(outputs, others, strict=True)
    return statistics.fmean(
        float(abs(frame.astype(int) - reference.astype(int)).mean())
        for output, other in pairs
        # One by one: a whole video of 64-bit numbers would fill the memory.
        for frame, reference in zip(frames_of(output), frames_of(other), strict=True)
    )
