"""What a run makes once of its targets and baselines and shares between workers and cases, by content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.acceleration.cache import ContentCache, directory_fingerprint
from bench.acceleration.configuration import Configuration
from bench.acceleration.host.arm_factory import ArmFactory
from bench.acceleration.host.pipeline_arm import PipelineArm
from bench.acceleration.prompts import Sample
from bench.core.errors import INFRASTRUCTURE, ArmProblem, TaskProblem
from bench.core.record import Json

if TYPE_CHECKING:
    import numpy as np


class References:
    """Target configurations and baseline images of a run.

    Args:
        cache: the run's cache.
        arms: starts arms on the cores of the case that asks.
    """

    def __init__(self, cache: ContentCache, arms: ArmFactory) -> None:
        self._cache, self._arms = cache, arms

    def target_configuration(self, file: Path, sample: Sample, name: str) -> Configuration:
        """Return the configuration of a target, observed on one sample by the first case that needs it."""

        def observe() -> Json:
            with self._arms.start("target", name) as process:
                arm = PipelineArm(process, file, self._arms.device, self._arms.limits.load_timeout_s)
                arm.load()
                arm.first_call([sample])
            assert arm.configuration is not None
            return arm.configuration.to_json()

        key = self._cache.key("configuration", self.file_identity(file))
        return Configuration.from_json(self._cache.once_json(key, observe))

    def baseline_images(
        self, baseline: PipelineArm, samples: list[Sample], generate: Callable[[], list[np.ndarray]]
    ) -> list[np.ndarray]:
        """Return a baseline's images of these samples, from whichever case made them first.

        Args:
            baseline: the loaded baseline, whose content is the key.
            samples: prompts and seeds.
            generate: makes the images when nobody has; what raises is not stored.
        """
        key = self._cache.key(
            "images", self.baseline_identity(baseline), [asdict(sample) for sample in samples]
        )
        stored = self._cache.once(key, lambda: {str(index): image for index, image in enumerate(generate())})
        return [stored[str(index)] for index in range(len(samples))]

    def baseline_identity(self, baseline: PipelineArm) -> list[Any]:
        """Return what determines a baseline's images besides the samples: its text, folder, model and device."""
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


@contextmanager
def as_reference_failure(role: str) -> Iterator[None]:
    """Turn a failure of the target or baseline into ``reference_failed``: it says nothing of the candidate."""
    try:
        yield
    except ArmProblem as problem:
        if problem.reason_code in INFRASTRUCTURE:  # it says nothing of the target or baseline either
            raise
        raise ArmProblem(
            "reference_failed",
            f"{problem}; the candidate was not judged; fix the {role}",
            role=role,
            output_tail=problem.output_tail,
        ) from problem
