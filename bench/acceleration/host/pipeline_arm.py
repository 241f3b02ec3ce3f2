"""A pipeline under evaluation: one arm process, its configuration, and batches of images from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from bench.acceleration.configuration import Configuration, combine
from bench.acceleration.host.process import ArmProcess
from bench.acceleration.prompts import Sample
from bench.acceleration.protocol.messages import Described, Observed
from bench.acceleration.protocol.pixels import unpack
from bench.acceleration.source.reading import read_source
from bench.core.errors import ArmProblem, SourceProblem
from bench.core.record import Json

if TYPE_CHECKING:
    import numpy as np

M = TypeVar("M")


@dataclass(frozen=True)
class Batch:
    """What one call of a pipeline gave.

    Attributes:
        images: uint8 arrays [height, width, 3], as many as the pipeline returned.
        seconds: from sending the request until the pixels were held by the evaluator.
        observed: what was counted in the call.
        not_finite: whether NaN or infinity was seen, in the decoder or in the returned arrays.
    """

    images: list[np.ndarray]
    seconds: float
    observed: Observed
    not_finite: bool


@dataclass
class PipelineArm:
    """Loads a pipeline file in an arm process and generates with it.

    Args:
        process: the running arm.
        file: the pipeline file.
        device: ``cpu`` or ``cuda``.
        load_timeout_s: seconds for loading, and again for the first call.
    """

    process: ArmProcess
    file: Path
    device: str
    load_timeout_s: float
    configuration: Configuration | None = None
    load_s: float | None = None
    first_call_s: float | None = None
    _described: Described = field(default_factory=Described)

    def load(self) -> None:
        """Load the file.

        Raises:
            ArmProblem: when its text cannot be read, or it cannot be loaded into a pipeline.
        """
        # A candidate is what its loader returns; a target is the `pipe` that its author looked at.
        prefer = "load_pipe" if self.process.role == "candidate" else "pipe"
        try:
            self._source = read_source(self.file, prefer_load_pipe=prefer == "load_pipe")
        except SourceProblem as problem:
            raise ArmProblem(
                "load_failed", f"the {self.process.role} {problem}", role=self.process.role
            ) from problem
        header, _, self.load_s = self.process.ask(
            {"op": "load", "file": str(self.file), "prefer": prefer, "device": self.device},
            timeout_s=self.load_timeout_s,
        )
        self._described = self._message(header.get("configuration"), Described)

    def first_call(self, samples: list[Sample]) -> Batch:
        """Generate for the first time, counting everything, and so learn the configuration."""
        batch, header = self._generate(samples, observe=True, timeout_s=self.load_timeout_s)
        self.first_call_s = batch.seconds
        if "configuration" in header:
            self._described = self._message(header["configuration"], Described)
        self.configuration = combine(self._described, batch.observed, self._source)
        return batch

    def generate(self, samples: list[Sample]) -> Batch:
        """Generate one image per sample, timed from this side."""
        return self._generate(samples, observe=False, timeout_s=None)[0]

    def peak_bytes(self) -> int | None:
        """Return the highest resident size of the process so far, memory shared with the server included."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
        return int(line.split()[1]) * 1024 if line else None

    def _generate(
        self, samples: list[Sample], *, observe: bool, timeout_s: float | None
    ) -> tuple[Batch, Json]:
        request = {
            "op": "generate",
            "prompts": [sample.prompt for sample in samples],
            "seeds": [sample.seed for sample in samples],
            "observe": observe,
        }
        header, payload, seconds = self.process.ask(request, timeout_s=timeout_s)
        try:
            images = unpack(header["shapes"], payload)
        except (KeyError, TypeError, ValueError) as error:
            raise self._broken(error) from error
        observed = self._message(header.get("observed") or {}, Observed)
        not_finite = bool(header.get("not_finite")) or observed.not_finite
        return Batch(images, seconds, observed, not_finite), header

    def _message(self, data: object, kind: type[M]) -> M:
        try:
            return msgspec.convert(data, kind)
        except msgspec.ValidationError as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> ArmProblem:
        role = self.process.role
        return ArmProblem("crashed", f"the {role} sent a broken answer: {error}", role=role)
