"""A baseline and a candidate under evaluation, with the images that they make."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bench.acceleration.configuration import Configuration, Mismatch
from bench.acceleration.gallery import Gallery
from bench.acceleration.host.arm_factory import ArmFactory
from bench.acceleration.host.pipeline_arm import Batch, PipelineArm
from bench.acceleration.prompts import SampleStream
from bench.acceleration.references import References, as_reference_failure
from bench.core.errors import ArmProblem

if TYPE_CHECKING:
    import numpy as np

ROLES = ("baseline", "candidate")


class Pair:
    """Loads both arms, makes their images and keeps them by sample.

    Args:
        name: of the case; part of the names of logs.
        arms: starts arms on the leased cores or device.
        samples: prompts and seeds.
        references: what the run makes once of its baselines.
        batch_size: images of one call.
        processes: ends what is started here.
        target: the target's file, like which a file is called that makes no call.

    Attributes:
        drift: what the candidate did differently after its first call.
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
        self._first_steps: dict[str, int | None] = {}
        self.drift: list[Mismatch] = []

    @property
    def baseline(self) -> PipelineArm:
        """The loaded baseline."""
        return self._loaded["baseline"]

    @property
    def candidate(self) -> PipelineArm:
        """The loaded candidate."""
        return self._loaded["candidate"]

    def load(self, role: str, file: Path | None) -> Configuration:
        """Start an arm, load its file, make the first batch, and leave the arm asleep.

        Raises:
            ArmProblem: when the arm cannot load or generate.
        """
        assert file is not None, "a case without a problem has all its files"
        seen = self._references.call_for(file, role, self._name, self._target)
        process = self._processes.enter_context(self._arms.start(role, self._name))
        arm = PipelineArm(process, file, self._arms.device, self._arms.limits.load_timeout_s)
        arm.load(seen)
        batch = arm.first_call(self._samples.take(self._first))
        process.pause()
        self._loaded[role] = arm
        self.keep(role, self._first, batch)
        assert arm.configuration is not None
        return arm.configuration

    def keep(self, role: str, indices: list[int], batch: Batch) -> None:
        """Keep the images of a batch, and note whether the candidate still takes the steps of its first call."""
        gallery = self._galleries[role]
        if not gallery.add(indices, batch):
            return
        for index in [index for index in indices if index >= len(self._samples)]:
            del gallery.images[index]  # such samples only serve the clock
        if role == "candidate":
            self._compare_steps(batch)

    def _compare_steps(self, batch: Batch) -> None:
        observed = batch.observed
        steps = {
            "num_inference_steps": observed.num_inference_steps or None,
            "scheduler_steps": observed.scheduler_steps or None,
        }
        self._first_steps = self._first_steps or steps
        self.drift += [
            Mismatch(field=f"{name} while timed", target=self._first_steps[name], candidate=now)
            for name, now in steps.items()
            if now != self._first_steps[name]
        ]

    def complete(self, calls: int) -> None:
        """Make the images of samples that the timed rounds did not: the baseline's once per run.

        Args:
            calls: how many batches both arms have made.
        """
        count, size = len(self._samples), self._batch_size
        missing = range(min(calls * size, count), count)
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
            self.keep("baseline", indices, self.baseline.generate(samples))
            self._require_sound_baseline()
            return [gallery.images[index] for index in indices]

        images = self._references.baseline_images(self.baseline, samples, generate)
        gallery.images.update(zip(indices, images, strict=True))

    def _require_sound_baseline(self) -> None:
        problems = self._galleries["baseline"].check()
        if problems:
            raise ArmProblem("reference_failed", f"{problems[0]}; fix the baseline", role="baseline")

    @property
    def is_broken(self) -> bool:
        """Whether a batch of the candidate could not be used at all."""
        return bool(self._galleries["candidate"].problems)

    def image_problems(self) -> list[str]:
        """Return what is wrong with the candidate's images.

        Raises:
            ArmProblem: when something is wrong with the baseline's.
        """
        self._require_sound_baseline()
        return self._galleries["candidate"].check(self._galleries["baseline"])

    def images(self) -> dict[str, list[np.ndarray]] | None:
        """Return the images of both arms in the order of the samples; None where some are missing."""
        indices = range(len(self._samples))
        if any(len(gallery.images) < len(indices) for gallery in self._galleries.values()):
            return None
        return {
            role: [gallery.images[index] for index in indices] for role, gallery in self._galleries.items()
        }
