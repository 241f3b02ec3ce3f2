"""What a run makes once of its targets and baselines and shares between workers and cases, by content."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.acceleration.cache import ContentCache, directory_fingerprint
from bench.acceleration.compute_threads import counts_to_try
from bench.acceleration.configuration import Configuration
from bench.acceleration.host.arm_factory import ArmFactory
from bench.acceleration.host.own_call import SeenCall, read_file, see_call
from bench.acceleration.host.pipeline_arm import PipelineArm
from bench.acceleration.null_band import BATCH, Images, NullImages, collect, draw_secret_samples
from bench.acceleration.prompts import Sample, SampleStream
from bench.core.errors import INFRASTRUCTURE, ArmProblem, TaskProblem
from bench.core.record import Json
from bench.machine.cores import threads_for

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True)
class Target:
    """What was observed of a target.

    Attributes:
        configuration: of it.
        paces: seconds of a call of its denoisers by number of compute threads; empty where they were not measured.
    """

    configuration: Configuration
    paces: dict[int, float]


class References:
    """Target configurations, and images or videos of baselines, of a run.

    Args:
        cache: the run's cache.
        arms: starts arms on the cores of the case that asks.
    """

    def __init__(self, cache: ContentCache, arms: ArmFactory) -> None:
        self._cache, self._arms = cache, arms

    def target_observed(
        self, file: Path, samples: list[Sample], name: str, secret: Sequence[Sample] = ()
    ) -> Target:
        """Return what the first case that needs a target observed of it on the samples of a batch.

        While it is loaded it makes its images of the secret samples too, and shows how many threads it computes with best.
        """
        counts = self._counts

        def observe() -> Json:
            with self._arms.start("target", name) as process:
                arm = PipelineArm(process, file, self._arms.device, self._arms.limits.load_timeout_s)
                arm.load(self.call_for(file, "target", name))
                arm.first_call(samples)
                if secret:
                    self.null_images(arm, secret, (BATCH,))
                paces = arm.paces(samples, counts) if counts else {}
            assert arm.configuration is not None
            return {"configuration": arm.configuration.to_json(), "paces": list(paces.items())}

        # Some of it depends on what the samples bring, such as the size of an image.
        drawn = [sample.identity() for sample in samples]
        key = self._cache.key("target", self.file_identity(file), drawn, counts)
        found = self._cache.once_json(key, observe)
        return Target(Configuration.from_json(found["configuration"]), dict(found["paces"]))

    @property
    def _counts(self) -> list[int]:
        """Numbers of compute threads to try; none where there is no choice."""
        if self._arms.gpu is not None:
            return []
        counts = counts_to_try(threads_for(list(self._arms.cores)))
        return counts if len(counts) > 1 else []

    def paces(self, file: Path, samples: list[Sample], name: str) -> dict[int, float]:
        """Return how many seconds a call of a pipeline's denoisers takes, by number of compute threads.

        Measured in a process of its own, since the calls that show it are not finished. Empty where there is no choice.
        """
        counts = self._counts
        if not counts:
            return {}

        def measure() -> list[tuple[int, float]]:
            with self._arms.start("target", name) as process:
                arm = PipelineArm(process, file, self._arms.device, self._arms.limits.load_timeout_s)
                arm.load(self.call_for(file, "target", name))
                return list(arm.paces(samples, counts).items())

        key = self._cache.key("paces", self.file_identity(file), len(samples), counts)
        return dict(self._cache.once_json(key, measure))

    def seen_call(self, file: Path, role: str, name: str) -> SeenCall:
        """Return how a target or baseline is called, as it was seen when the first case needed it."""
        key = self._cache.key("call", self.file_identity(file))
        return SeenCall.from_json(
            self._cache.once_json(key, lambda: see_call(self._arms, file, role, name).to_json())
        )

    def call_for(self, file: Path, role: str, name: str, target: Path | None = None) -> SeenCall:
        """Return how a file is called: as it was seen, or like the target where it makes no call."""
        seen = (
            see_call(self._arms, file, role, name)
            if role == "candidate"
            else self.seen_call(file, role, name)
        )
        source = read_file(file, role)
        makes_one = seen.call is not None or source.entry is not None or source.defines_own_generate
        if makes_one or seen.probed.pipelines or seen.probed.own_steps or target is None:
            return seen
        with as_reference_failure("target"):
            of_target = self.seen_call(target, "target", name)
        return seen if of_target.call is None else dataclasses.replace(of_target, by="target")

    def baseline_outputs(
        self, baseline: PipelineArm, samples: list[Sample], generate: Callable[[], list[np.ndarray]]
    ) -> list[np.ndarray]:
        """Return a baseline's images or videos of these samples, from whichever case made them first.

        Args:
            baseline: the loaded baseline, whose content is the key.
            samples: prompts, seeds and inputs.
            generate: makes them when nobody has; what raises is not stored.
        """
        key = self._cache.key(
            "images", self.baseline_identity(baseline), [sample.identity() for sample in samples]
        )
        return self._kept(key, generate)

    def secret_samples(self, stream: SampleStream, count: int) -> list[Sample]:
        """Return samples that nobody knew before the run, the same for all its cases with these prompts."""
        key = self._cache.key("secret samples", [sample.identity() for sample in stream.drawn], count)
        drawn = self._cache.once_json(
            key, lambda: [sample.to_json() for sample in draw_secret_samples(stream, count)]
        )
        return [Sample.from_json(sample) for sample in drawn]

    def null_images(
        self,
        arm: PipelineArm,
        samples: Sequence[Sample],
        perturbations: Sequence[str],
        reference: Callable[[], Images] | None = None,
    ) -> NullImages:
        """Return a target's or baseline's images of the secret samples, from whichever case made them first.

        Args:
            arm: loaded.
            samples: secret ones.
            perturbations: under which some are made again.
            reference: makes those that are repeated, where more than a call of the arm is wanted of it.
        """
        identity = self.baseline_identity(arm)
        drawn = [sample.identity() for sample in samples]

        def once(what: str, make: Callable[[], Images]) -> Images:
            return self._kept(self._cache.key("null images", what, identity, drawn), make)

        return collect(once, arm, samples, perturbations, arm.threads, reference)

    def target_images(
        self, file: Path, name: str, samples: Sequence[Sample], first: list[Sample]
    ) -> NullImages:
        """Return a target's images of the secret samples, made when its configuration was observed.

        A target whose configuration another run of the case has left without them is loaded again.
        """
        configuration = self.target_observed(file, first, name, samples).configuration
        loaded = _Observed(file, configuration)
        try:
            return self.null_images(loaded, samples, (BATCH,))  # type: ignore[arg-type]
        except _NotMadeError:
            with self._arms.start("target", name) as process:
                arm = PipelineArm(process, file, self._arms.device, self._arms.limits.load_timeout_s)
                arm.load(self.call_for(file, "target", name))
                arm.first_call(first)
                return self.null_images(arm, samples, (BATCH,))

    def baseline_costs(self, baseline: PipelineArm, batch_size: int, measure: Callable[[], Json]) -> Json:
        """Return what a warm call of a baseline takes, step by step and part by part, from the first case that measured it.

        Args:
            baseline: the loaded baseline, whose content is the key.
            batch_size: samples of one call.
            measure: times them when nobody has; returns ``step_s`` and ``part_s``.
        """
        key = self._cache.key("costs", self.baseline_identity(baseline), batch_size, baseline.threads)
        costs: Json = self._cache.once_json(key, measure)
        return costs

    def _kept(self, key: str, make: Callable[[], Images]) -> Images:
        """Return images that the run keeps under a key, from the case that made them first."""
        stored = self._cache.once(key, lambda: {str(index): image for index, image in enumerate(make())})
        return [stored[str(index)] for index in range(len(stored))]

    def are_the_same(self, file: Path, other: Path) -> bool:
        """Whether two files are the same pipeline: the same text in the same folder."""
        return self.file_identity(file) == self.file_identity(other)

    def baseline_identity(self, baseline: PipelineArm) -> list[Any]:
        """Return what determines what a baseline makes besides the samples: its text, folder, model and device."""
        assert baseline.configuration is not None
        model_id = baseline.configuration.model_id
        return [*self.file_identity(baseline.file), model_id, directory_fingerprint(model_id)]

    def file_identity(self, file: Path) -> list[Any]:
        """Return the content of a pipeline file with its folder, where the same text may find other neighbours."""
        try:
            return [file.read_bytes(), str(file.resolve().parent), self._arms.device]
        except OSError as error:
            raise TaskProblem(
                f"{file}: cannot be read ({error}); check the path and its permissions"
            ) from error


class _NotMadeError(Exception):
    """Images that nobody has made."""


@dataclasses.dataclass(frozen=True)
class _Observed:
    """A pipeline that was observed and is not loaded: what it made is known, and it makes nothing more."""

    file: Path
    configuration: Configuration
    threads: int = 1

    def generate(self, samples: list[Sample]) -> object:
        raise _NotMadeError

    def perturb(self, **change: object) -> bool:
        return False


@contextmanager
def as_reference_failure(role: str) -> Iterator[None]:
    """Turn a failure of the target or baseline into ``reference_failed``: it says nothing of the candidate.

    Prompts that it does not take are a fault of the task, and become ``task_invalid``.
    """
    try:
        yield
    except ArmProblem as problem:
        said = ("reference_failed", "task_invalid")
        if problem.reason_code in (*INFRASTRUCTURE, "internal_error", *said):
            raise  # it says nothing of the target or baseline either, or has been said
        advice = f"; fix the {role}" if problem.is_of_file else ""
        raise ArmProblem(
            "task_invalid" if problem.is_of_prompts else "reference_failed",
            f"{problem}; the candidate was not judged{advice}",
            role=role,
            output_tail=problem.output_tail,
            is_of_file=problem.is_of_file,
            is_of_prompts=problem.is_of_prompts,
        ) from problem
