"""The scoring process of one worker: started on the first lease, moved to each next one, asleep in between."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

from bench.acceleration.host.arm_factory import ArmFactory
from bench.acceleration.host.failures import scorer_died
from bench.acceleration.host.process import ArmProcess
from bench.core.errors import ArmProblem, UsageProblem


class ScoringProcess:
    """Keeps one trusted process with a CLIP model per device.

    Args:
        clip: name or directory of the model.
    """

    def __init__(self, clip: str) -> None:
        self._clip = clip
        self._stack = ExitStack()
        self._processes: dict[int | None, ArmProcess] = {}

    def __enter__(self) -> ScoringProcess:
        """Return itself; nothing is started yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the processes."""
        self._stack.close()

    def on(self, arms: ArmFactory) -> ArmProcess:
        """Return the process, awake, on the cores and device of this lease.

        Raises:
            UsageProblem: when the model cannot be loaded.
        """
        process = self._processes.get(arms.gpu)
        if process is None or not process.is_alive():
            process = self._stack.enter_context(
                arms.start("scorer", f"gpu{arms.gpu}" if arms.gpu is not None else "cpu")
            )
            try:
                process.ask(
                    {"op": "load", "clip": self._clip, "device": arms.device},
                    timeout_s=arms.limits.load_timeout_s,
                )
            except ArmProblem as problem:
                process.close()
                died = scorer_died(problem)
                if died is not None:
                    raise died from problem
                raise UsageProblem(str(problem).removeprefix("the scorer ")) from problem
            self._processes[arms.gpu] = process
        process.resume()
        process.place(arms.cpus)
        return process

    def pause(self) -> None:
        """Put the processes to sleep, so that nothing computes outside a lease."""
        for process in self._processes.values():
            process.pause()
