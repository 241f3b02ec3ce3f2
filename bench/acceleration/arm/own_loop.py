"""Noticing that a file generates by itself, outside of any pipeline: a loop over the denoiser."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from bench.acceleration.arm.discarded import is_discarded
from bench.acceleration.arm.patching import put, tell_of_new
from bench.acceleration.arm.recorder import line_within

Notice = Callable[..., None]


class OwnSteps:
    """While it is entered, keeps the line from which a file goes through the steps itself.

    A step of a scheduler is one. So is a call of a denoiser where another one at another timestep came before it, once
    something is decoded, or made an image: what only measures or calibrates a denoiser makes none.

    It is for a process in which no pipeline of diffusers generates, so that everything seen is the file's own.

    Args:
        namespace: of the file.

    Attributes:
        where: ``in line 12``, ``in a module that it imports``; empty while the file did not do so.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.where = ""
        self._namespace, self._stack = namespace, ExitStack()
        self._timesteps: set[float] = set()
        self._denoises = ""

    def __enter__(self) -> OwnSteps:
        """Watch every scheduler and every model that comes to be."""
        import PIL.Image
        from diffusers import ModelMixin, SchedulerMixin

        tell_of_new(
            self._stack, SchedulerMixin, lambda scheduler: self._watch(type(scheduler), "step", self._at_step)
        )
        tell_of_new(self._stack, ModelMixin, lambda model: self._watch_model(type(model)))
        self._watch(PIL.Image, "fromarray", self._at_image)
        return self

    def __exit__(self, *error: object) -> None:
        """Leave every class as it was."""
        self._stack.close()

    def _watch_model(self, kind: Any) -> None:
        self._watch(kind, "decode", self._at_image)
        signature = inspect.signature(kind.forward)
        if "timestep" in signature.parameters:
            self._watch(kind, "forward", functools.partial(self._at_denoiser, signature))

    def _watch(self, owner: Any, name: str, notice: Notice) -> None:
        original = getattr(owner, name, None)
        if original is None or hasattr(original, "_modelgate_counted"):
            return

        @functools.wraps(original)
        def watched(*args: Any, **kwargs: Any) -> Any:
            if not self.where and not _is_compiling():
                notice(*args, **kwargs)
            return original(*args, **kwargs)

        watched._modelgate_counted = True  # type: ignore[attr-defined]
        put(self._stack, owner, name, watched)

    def _at_step(self, *_: Any, **__: Any) -> None:
        self.where = self._place()

    def _at_denoiser(self, signature: inspect.Signature, *args: Any, **kwargs: Any) -> None:
        timestep = _first(_argument(signature, "timestep", args, kwargs))
        if timestep is None or is_discarded():
            return
        self._timesteps.add(timestep)
        if len(self._timesteps) > 1:
            self._denoises = self._denoises or self._place()

    def _at_image(self, *_: Any, **__: Any) -> None:
        if self._denoises and not is_discarded():
            self.where = self._denoises

    def _place(self) -> str:
        line = line_within(self._namespace)
        return "in a module that it imports" if line is None else f"in line {line}"


def _is_compiling() -> bool:
    import torch

    return torch.compiler.is_compiling()  # the compiler reads this, and finds a constant


def _argument(signature: inspect.Signature, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return signature.bind(*args, **kwargs).arguments.get(name)
    except TypeError:  # the call itself will say so
        return None


def _first(value: Any) -> float | None:
    """Return a number, or the first one of a tensor or list; None of anything else."""
    try:
        return float(value.reshape(-1)[0] if hasattr(value, "reshape") else value)
    except (TypeError, ValueError, IndexError, RuntimeError):
        return None
