"""Noticing that a file takes the steps of a scheduler by itself, outside of any pipeline: a loop over the denoiser."""

from __future__ import annotations

import functools
from contextlib import ExitStack
from typing import Any

from bench.acceleration.arm.patching import put, tell_of_new
from bench.acceleration.arm.recorder import line_within


class OwnSteps:
    """While it is entered, keeps the line from which a scheduler first took a step.

    It is for a process in which no pipeline of diffusers generates, so that every step is the file's own.

    Args:
        namespace: of the file.

    Attributes:
        where: ``in line 12``, ``in a module that it imports``; empty while no step was taken.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.where = ""
        self._namespace, self._stack = namespace, ExitStack()

    def __enter__(self) -> OwnSteps:
        """Watch every scheduler that comes to be."""
        from diffusers import SchedulerMixin

        tell_of_new(self._stack, SchedulerMixin, lambda scheduler: self._watch(type(scheduler)))
        return self

    def __exit__(self, *error: object) -> None:
        """Leave every class as it was."""
        self._stack.close()

    def _watch(self, kind: Any) -> None:
        original = getattr(kind, "step", None)
        if original is None or hasattr(original, "_modelgate_counted"):
            return

        @functools.wraps(original)
        def step(scheduler: Any, *args: Any, **kwargs: Any) -> Any:
            if not self.where:
                line = line_within(self._namespace)
                self.where = "in a module that it imports" if line is None else f"in line {line}"
            return original(scheduler, *args, **kwargs)

        step._modelgate_counted = True  # type: ignore[attr-defined]
        put(self._stack, kind, "step", step)
