"""The scoring process of one worker: started on the first lease, moved to each next one, asleep in between."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

from bench.acceleration.host.arm_factory import ArmFactory
from bench.acceleration.host.failures import scorer_died
from bench.acceleration.host.process import ArmProcess
from bench.core.errors import ArmProblem, UsageProblem
from bench.core.record import Json


class ScoringProcess:
    """Keeps one trusted process with a CLIP model per device.

    Args:
        clip: name or directory of the model.
    """

    def __init__(self, clip: str) -> None:
        self._clip = clip
        self._stack = ExitStack()
        self._processes: dict[int | None, tuple[ArmProcess, Future[object]]] = {}
        self._waiting = ThreadPoolExecutor(thread_name_prefix="scorer")
        self._imports: Future[None] | None = None

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
        self._waiting.shutdown()

    def begin(self, arms: ArmFactory) -> None:
        """Let the process load its model on the cores and device of this lease, where it has not: `on` waits for that."""
        if self._imports is None:  # while pipelines load: it is needed when the first verdict is wanted
            self._imports = self._waiting.submit(_import_ahead)
        process, loading = self._processes.get(arms.gpu, (None, None))
        if process is not None and loading is not None and (not loading.done() or process.is_alive()):
            return
        process = self._stack.enter_context(
            arms.start("scorer", f"gpu{arms.gpu}" if arms.gpu is not None else "cpu")
        )
        request = {"op": "load", "clip": self._clip, "device": arms.device}
        loading = self._waiting.submit(process.ask, request, timeout_s=arms.limits.load_timeout_s)
        self._processes[arms.gpu] = process, loading

    def on(self, arms: ArmFactory) -> ArmProcess:
        """Return the process, awake, on the cores and device of this lease.

        Raises:
            UsageProblem: when the model cannot be loaded.
        """
        self.begin(arms)
        process, loading = self._processes[arms.gpu]
        try:
            loading.result()
            if self._imports is not None:
                self._imports.result()
        except ArmProblem as problem:
            process.close()
            died = scorer_died(problem)
            if died is not None:
                raise died from problem
            raise UsageProblem(str(problem).removeprefix("the scorer ")) from problem
        process.resume()
        process.place(arms.cpus)
        return process

    def pause(self) -> None:
        """Put the processes to sleep, so that nothing computes outside a lease."""
        wait([loading for _, loading in self._processes.values()])
        if self._imports is not None:
            wait([self._imports])
        for process, _ in self._processes.values():
            process.pause()


def _import_ahead() -> None:
    from bench.metrics.measuring import import_ahead  # noqa: PLC0415  imports NumPy

    import_ahead()


@dataclass(frozen=True)
class LeasedScorer:
    """The scoring process on one lease: it can load its model while the case does something else.

    Attributes:
        of: the process of the worker.
        arms: what the lease gives.
    """

    of: ScoringProcess
    arms: ArmFactory

    def prepare(self) -> None:
        """Begin to load the model."""
        self.of.begin(self.arms)

    def wait(self) -> None:
        """Return when the model is loaded; errors as of `ScoringProcess.on`."""
        self.of.on(self.arms)

    def ask(self, request: Json, payload: bytes = b"") -> tuple[Json, bytes, float]:
        """Send a request and return its answer, as `ArmProcess.ask` does."""
        return self.of.on(self.arms).ask(request, payload)
