"""Finding the pipeline in what a file defines, in the arm's process."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.acceleration.arm.advice import advice
from bench.acceleration.arm.recorder import pipeline_bases
from bench.acceleration.protocol.messages import OwnCall
from bench.core.errors import SourceProblem

_DEPTH = 3


def find_pipe(
    namespace: dict[str, Any],
    path: Path,
    prefer: str,
    call: OwnCall | None = None,
    others: Sequence[str] = (),
) -> tuple[Any, bool]:
    """Return the pipeline, or what a library put around it, and whether ``load_pipe()`` made it.

    Args:
        namespace: what the file defines.
        path: the file, for messages.
        prefer: ``pipe`` or ``load_pipe``, which of them wins when the file defines both.
        call: the file's own, as it was seen while it ran as a script.
        others: the pipelines that it called there besides its own.

    Raises:
        SourceProblem: when the file defines neither, or what it defines is no pipeline.
    """
    load_pipe: Any = namespace.get("load_pipe")
    needed = _needed_arguments(load_pipe)
    has_loader = needed == []
    if "pipe" not in namespace and not has_loader:
        if needed:
            raise SourceProblem(
                f"{path.name}: load_pipe() needs arguments ({', '.join(needed)}); expected a loader that is called without; "
                "give them defaults, or assign the pipeline to `pipe` at module level"
            )
        raise SourceProblem(
            f"{path.name} defines neither `pipe` nor `load_pipe()`; {advice(namespace, path, call, others)}"
        )
    of_loader = has_loader and (prefer == "load_pipe" or "pipe" not in namespace)
    pipe, spelled = (load_pipe(), "load_pipe()") if of_loader else (namespace["pipe"], "pipe")
    if pipe_within(pipe) is not None:
        return pipe, of_loader
    shown = "None" if pipe is None else f"a {type(pipe).__module__}.{type(pipe).__qualname__}"
    raise SourceProblem(
        f"{path.name}: `{spelled}` is {shown}, but a diffusers pipeline was expected; "
        "assign or return the object that StableDiffusionPipeline.from_pretrained(...) gives"
    )


def pipe_within(thing: Any, depth: int = _DEPTH) -> Any:
    """Return the pipeline that something is, or that it holds and hands calls on to; None where there is none."""
    if isinstance(thing, pipeline_bases()):
        return thing
    if depth == 0 or not callable(thing) or inspect.isroutine(thing) or isinstance(thing, type):
        return None
    held = (
        [thing.func]
        if isinstance(thing, functools.partial)
        else list(getattr(thing, "__dict__", {}).values())
    )
    return next((found for value in held if (found := pipe_within(value, depth - 1)) is not None), None)


def _needed_arguments(load_pipe: Any) -> list[str] | None:
    """Return the arguments without which a loader cannot be called; None where there is no loader."""
    if not callable(load_pipe):
        return None
    try:
        parameters = inspect.signature(load_pipe).parameters.values()
    except (TypeError, ValueError):
        return []
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in starred]
