"""Whose fault it is when a call fails: the file's, that of a row of the prompts, or of how it is called and watched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType

from bench.acceleration.arm.loading import LoadedPipeline
from bench.acceleration.arm.odd_inputs import sample_at_fault
from bench.acceleration.methods import Parameters
from bench.core.errors import ModelgateError, SourceProblem

Watching = Callable[[], AbstractContextManager[None]]
_OURS = "bench.acceleration.arm."
# In these frames, an error about the arguments of a call speaks of the call that the suite makes.
_CALLING = (
    (f"{_OURS}loading", "_call"),
    (f"{_OURS}recorder", "told"),
    ("torch.utils._contextlib", "decorate_context"),
)
# They look at what a file returned.
_LOOKING = (f"{_OURS}results", f"{_OURS}content")


def blamed(
    error: Exception,
    pipeline: LoadedPipeline,
    asked: tuple[list[str], list[int], Sequence[Parameters]],
    watching: Watching | None = None,
) -> Exception:
    """Return what a failure of a call is to be told as; it is made again in other ways to find that out.

    Args:
        error: what was raised.
        pipeline: the pipeline.
        asked: what it was asked for: prompts, seeds, and the inputs of each.
        watching: how it was watched; None where it was not.
    """
    if isinstance(error, ModelgateError | MemoryError) or "memory" in str(error):
        return error
    what = f"{type(error).__name__}: {str(error)[:500]}"

    def again() -> object:
        return pipeline.generate(*asked)

    if watching is not None and _works(again) and not _works(again, watching):
        return ModelgateError(
            f"failed because it was watched, and works when it is not ({what}); please report it"
        )
    of_sample = sample_at_fault(pipeline, asked, what)
    if of_sample is not None:
        return of_sample
    if pipeline.by in ("generate", "none"):
        return error
    return _of_the_call(error, pipeline, asked, what)


def _of_the_call(
    error: Exception,
    pipeline: LoadedPipeline,
    asked: tuple[list[str], list[int], Sequence[Parameters]],
    what: str,
) -> Exception:
    """Return what the failure of a call is to be told as that is put together here."""
    prompts, seeds, inputs = asked
    place = _innermost(error.__traceback__)
    if isinstance(error, TypeError) and place in _CALLING:
        return _refused(
            f"found {what}, expected an entry point that takes generators next to what its own call gives"
        )
    if place[0].startswith(_OURS) and place[0] not in _LOOKING:
        return ModelgateError(
            f"could not be called because of a fault of the suite ({what}); please report it"
        )
    if len(prompts) > 1 and _works(lambda: pipeline.generate(prompts[:1], seeds[:1], inputs[:1])):
        return SourceProblem(
            f"cannot be called this way: found {what} with {len(prompts)} prompts and as many generators, and none with one "
            "of each; expected one image or video for each prompt; judge it with --batch-size 1, or "
            "define generate(pipe, prompts, generators)"
        )
    if _works(lambda: pipeline.generate_one(prompts[0], seeds[0], inputs[:1])):
        return _refused(
            f"found {what} with lists of {len(prompts)} prompts and as many generators, and none with one of each; expected "
            "one image for each prompt"
        )
    return error


def _refused(why: str) -> SourceProblem:
    return SourceProblem(f"cannot be called this way: {why}; define generate(pipe, prompts, generators)")


def _works(call: Callable[[], object], around: Watching = nullcontext) -> bool:
    try:
        with around():
            call()
    except Exception:
        return False
    return True


def _innermost(trace: TracebackType | None) -> tuple[str, str]:
    """Return the module and the function in which something was raised."""
    place = ("", "")
    while trace is not None:
        place = (str(trace.tb_frame.f_globals.get("__name__", "")), trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    return place
