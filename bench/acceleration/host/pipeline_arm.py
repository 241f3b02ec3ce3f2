"""A pipeline under evaluation: one arm process, its configuration, and batches of images or videos from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from bench.acceleration.configuration import CallTaken, Configuration, OutputShape, combine
from bench.acceleration.host.card import Card
from bench.acceleration.host.own_call import SeenCall, preferred, read_file
from bench.acceleration.host.process import ArmProcess
from bench.acceleration.host.process_tree import tree
from bench.acceleration.prompts import Sample
from bench.acceleration.protocol.inputs import pack_inputs
from bench.acceleration.protocol.messages import Described, GpuMemory, Observed, set_on
from bench.acceleration.protocol.pixels import unpack
from bench.core.errors import ArmProblem
from bench.core.record import Json
from bench.machine.gpu_memory import memory_of_processes

if TYPE_CHECKING:
    import numpy as np

M = TypeVar("M")


@dataclass(frozen=True)
class Batch:
    """What one call of a pipeline gave.

    Attributes:
        outputs: images as uint8 arrays [height, width, 3], or videos [frames, height, width, 3], as many as the pipeline
            returned.
        seconds: from sending the request until the pixels were held by the evaluator.
        observed: what was counted in the call.
        not_finite: whether NaN or infinity was seen, in the decoder or in the returned arrays.
    """

    outputs: list[np.ndarray]
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
        card: the GPU that it shares with another arm; None on a processor, or where it is alone.

    Attributes:
        loaded_as: what was loaded, before any call.
    """

    process: ArmProcess
    file: Path
    device: str
    load_timeout_s: float
    card: Card | None = None
    configuration: Configuration | None = None
    load_s: float | None = None
    first_call_s: float | None = None
    compile_s: float | None = None
    first_observed: Observed = field(default_factory=Observed)
    loaded_as: Described = field(default_factory=Described)
    _described: Described = field(default_factory=Described)
    _seen: SeenCall = field(default_factory=SeenCall)
    _by: str = "none"
    _earlier: list[Sample] = field(default_factory=list)

    def load(self, seen: SeenCall | None = None) -> None:
        """Load the file.

        Args:
            seen: how the file is called, as far as that was seen; left out, its text has to say.

        Raises:
            ArmProblem: when its text cannot be read, or it cannot be loaded into a pipeline, or not into the one that
                generates when the file is run.
        """
        role = self.process.role
        is_guess = seen is None
        self._source, self._seen = read_file(self.file, role), seen or SeenCall()
        seen = self._seen
        self._require_no_chain()
        header, _, self.load_s = self.process.ask(
            {
                "op": "load", "file": str(self.file), "prefer": preferred(role), "device": self.device,
                "call": None if seen.call is None else msgspec.to_builtins(seen.call), "by": seen.by,
                "why": seen.probed.why[:300], "others": seen.probed.pipelines[:1],
            },
            seen.sent,
            timeout_s=self.load_timeout_s,
        )  # fmt: skip
        self._described = self.loaded_as = self._message(header.get("configuration"), Described)
        self._by = str(header.get("by"))
        if self._by != "generate":
            self._require_own_pipeline()
        if self._by == "none" and not is_guess:
            raise self._refused(
                f"makes no call that generates ({seen.probed.why}); expected one, with its arguments; call pipe(...) below "
                "`if __name__ == '__main__':`, or define generate(pipe, prompts, generators)"
            )
        if self._by == "run":
            self._require_same_pipeline("load_pipe" if header.get("of_loader") else "pipe")

    def _refused(self, why: str) -> ArmProblem:
        role = self.process.role
        return ArmProblem("load_failed", f"the {role} {self.file.name} {why}", role=role, is_of_file=False)

    def _require_no_chain(self) -> None:
        """Refuse a file that generates with several pipelines, one after the other."""
        chained, into = self._seen.probed.chained, self._seen.probed.into
        if chained:
            raise self._refused(
                f"generates with several pipelines, one after the other: what {chained} makes goes into {into}; expected "
                "one call that makes the images; a chain of pipelines belongs into generate(pipe, prompts, generators)"
            )

    def _require_own_pipeline(self) -> None:
        """Refuse a file that generates with another pipeline than its own, or with none."""
        others, steps = self._seen.probed.pipelines, self._seen.probed.own_steps
        if self._seen.call is None and steps:
            raise self._refused(
                f"generates without a pipeline: it goes through the steps itself, {steps}; expected a call of `pipe`; "
                "put that loop into generate(pipe, prompts, generators)"
            )
        if self._seen.call is None and others:
            raise self._refused(
                f"generates with another pipeline than `pipe` ({others[0]}); expected `pipe` to be the one; assign the one "
                "that generates to `pipe`, or return it from load_pipe(); a chain of pipelines belongs into "
                "generate(pipe, prompts, generators)"
            )

    def _require_same_pipeline(self, used: str) -> None:
        """Refuse a file whose main part changes the pipeline before it generates: the suite only loads the file."""
        call, when_run = self._seen.call, self._seen.probed.described
        if call is None or when_run is None or used not in call.known_as:
            return
        differing = (
            [
                f"{name} is {now}, and {then} when the file is loaded"
                for name, now, then in (
                    ("the scheduler", when_run.scheduler_class, self._described.scheduler_class),
                    ("the class", when_run.pipeline_class, self._described.pipeline_class),
                )
                if now != then
            ]
            + [
                f"{name} is in place, and not when the file is loaded"
                for name in when_run.methods
                if name not in self._described.methods
            ]
            + [
                f"the scheduler's {name} is set, and not when the file is loaded"
                for name in set_on(when_run.scheduler)
                if name not in set_on(self._described.scheduler)
            ]
        )
        if differing:
            raise self._refused(
                f"generates with another pipeline than it defines: when it runs as a script, {'; '.join(differing)}; "
                "expected the pipeline as the file defines it; move what changes it to module level or into load_pipe(), or "
                "define generate(pipe, prompts, generators)"
            )

    def first_call(self, samples: list[Sample]) -> Batch:
        """Generate for the first time, counting everything, and so learn the configuration."""
        batch, header = self._generate(samples, observe=True, describe=True, timeout_s=self.load_timeout_s)
        self.first_call_s, self.first_observed = batch.seconds, batch.observed
        self.compile_s = batch.observed.compile_s
        if "configuration" in header:
            self._described = self._message(header["configuration"], Described)
        output = OutputShape.of(batch.outputs[0]) if batch.outputs else None
        self.configuration = combine(
            self._described, batch.observed, self._source, self._call_taken(), output
        )
        return batch

    def _call_taken(self) -> CallTaken:
        call = self._seen.call
        if call is None or self._by not in ("run", "target"):
            return CallTaken(by=self._by, why=self._seen.probed.why)
        return CallTaken(by=self._by, line=call.line, arguments=call.arguments, state=call.state)

    def again(self, process: ArmProcess) -> PipelineArm:
        """Return the arm of a later launch, with what was observed in this one; it is to be loaded."""
        arm = PipelineArm(process, self.file, self.device, self.load_timeout_s, self.card)
        arm.configuration, arm.first_observed = self.configuration, self.first_observed
        return arm

    def generate_first(self, samples: list[Sample]) -> Batch:
        """Generate for the first time in a later launch, where nothing needs to be observed again."""
        batch, _ = self._generate(samples, timeout_s=self.load_timeout_s)
        self.first_call_s = batch.seconds
        return batch

    def generate(self, samples: list[Sample]) -> Batch:
        """Generate one image or video per sample, timed from this side."""
        return self._generate(samples)[0]

    def begin(self, samples: list[Sample], calls: int) -> float:
        """Return the seconds of a call that ends after so many calls of the denoiser; nothing is made.

        Only on a processor: work that a GPU was given would not be done by then.
        """
        request, pixels = _call(samples)
        return self.process.ask({**request, "op": "pace", "calls": calls}, pixels)[2]

    def audit(self, samples: list[Sample]) -> Batch:
        """Generate as when it was timed, counting steps and calls, and timing the steps."""
        return self._generate(samples, observe=True)[0]

    @property
    def threads(self) -> int:
        """Compute threads that its process was started with."""
        return self.process.threads

    def perturb(self, **change: object) -> bool:
        """Change what computes but not what is computed, until the next call of this; without a change, as it was loaded.

        Args:
            change: as `bench.acceleration.arm.perturbation` takes it.

        Returns:
            Whether all of it could be done.
        """
        header, _, _ = self.process.ask({"op": "perturb", **change})
        return header.get("applied") is True

    def paces(self, samples: list[Sample], counts: list[int]) -> dict[int, float]:
        """Return seconds of a call of its denoisers by number of compute threads; empty where that cannot be said.

        Args:
            samples: of one batch.
            counts: numbers of threads.
        """
        request, pixels = _call(samples)
        header, _, _ = self.process.ask(
            {**request, "op": "pace", "counts": counts, "usual": self.process.threads}, pixels
        )
        return dict(self._message(header.get("paces"), list[tuple[int, float]]))

    def peak_bytes(self) -> int | None:
        """Return the highest resident size of the process so far, memory shared with the server included."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
        return int(line.split()[1]) * 1024 if line else None

    def move(self, device: str) -> None:
        """Take its models off the GPU, or put them back."""
        self.process.ask({"op": "move", "device": device}, timeout_s=self.load_timeout_s)

    def gpu_memory(self) -> GpuMemory | None:
        """Return what the arm took of its GPU so far; None on a processor.

        The arm counts for itself, so that a hostile one may say anything; what the driver says is not its own word.
        """
        if self.device == "cpu":
            return None
        if self.card is not None:
            self.card.give_to(self.process.role)
        header, _, _ = self.process.ask({"op": "memory"})
        of_driver = memory_of_processes(tree(self.process.pid))
        self.process.pause()
        return msgspec.structs.replace(self._message(header.get("memory"), GpuMemory), driver_bytes=of_driver)

    def _generate(
        self,
        samples: list[Sample],
        *,
        observe: bool = False,
        describe: bool = False,
        timeout_s: float | None = None,
    ) -> tuple[Batch, Json]:
        def asked() -> tuple[Batch, Json]:
            return self._asked(samples, observe=observe, describe=describe, timeout_s=timeout_s)

        if self.card is None:
            return asked()
        role = self.process.role
        if self.card.give_to(role) and not observe and self._earlier:
            # What torch sets up again belongs to the move. These samples are known: no image to come can be prepared.
            self._asked(self._earlier)
        self._earlier = samples
        return self.card.with_room(role, asked)

    def _asked(
        self,
        samples: list[Sample],
        *,
        observe: bool = False,
        describe: bool = False,
        timeout_s: float | None = None,
    ) -> tuple[Batch, Json]:
        request, pixels = _call(samples)
        request |= {"op": "generate", "observe": observe, "describe": describe}
        try:
            header, payload, seconds = self.process.ask(request, pixels, timeout_s=timeout_s)
        except ArmProblem as problem:
            placed = _at_its_row(problem, samples)
            raise placed from (None if placed is problem else problem)  # never from itself
        try:
            outputs = unpack(header.get("shapes"), payload)
        except ValueError as error:
            raise self._broken(error) from error
        observed = self._message(header.get("observed") or {}, Observed)
        not_finite = bool(header.get("not_finite")) or observed.not_finite
        return Batch(outputs, seconds, observed, not_finite), header

    def _message(self, data: object, kind: type[M]) -> M:
        try:
            return msgspec.convert(data, kind)
        except msgspec.ValidationError as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> ArmProblem:
        role = self.process.role
        return ArmProblem("crashed", f"the {role} sent a broken answer: {error}", role=role)


def _call(samples: list[Sample]) -> tuple[Json, bytes]:
    """Return what an arm is told of the samples of a call, and the bytes of their images."""
    inputs, pixels = pack_inputs([sample.inputs for sample in samples])
    return {
        "prompts": [sample.prompt for sample in samples],
        "seeds": [sample.seed for sample in samples],
        "inputs": inputs,
    }, pixels


def _at_its_row(problem: ArmProblem, samples: list[Sample]) -> ArmProblem:
    """Return a problem with prompts as one that names their file, and the row where it is that of one prompt."""
    if not problem.is_of_prompts:
        return problem
    index = problem.sample if isinstance(problem.sample, int) and 0 <= problem.sample < len(samples) else None
    sample = samples[index or 0]
    place = sample.source if index is None or sample.row is None else f"{sample.source}, row {sample.row}"
    return ArmProblem(
        problem.reason_code,
        f"{place}: {problem}" if sample.source else str(problem),
        role=problem.role,
        output_tail=problem.output_tail,
        is_of_file=False,
        is_of_prompts=True,
        sample=None if index is None else sample,
    )
