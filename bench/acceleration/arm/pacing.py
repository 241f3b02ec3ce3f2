"""Calls of a pipeline that are not finished: how long its denoiser takes, and with how many compute threads best."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from bench.acceleration.arm.counting import Outermost, denoisers_of
from bench.acceleration.detectors.compiled import has_compiled
from bench.acceleration.methods import Parameters

# Calls of a denoiser with each number of threads. The first one prepares what the next ones use.
_CALLS = 4
# A pipeline of few steps is called again, so often at most.
_AGAIN = 4


class _EnoughError(BaseException):
    """All was seen. No ``except Exception`` of a file's takes it for a failure."""


def begin(pipe: Any, generate: Callable[[], object], calls: int) -> None:
    """Generate, and end the call where its denoisers were called so often; to its end where nothing can be counted.

    Args:
        pipe: the pipeline.
        generate: calls it; what it makes is not used.
        calls: of all denoisers together.
    """
    denoisers = _denoisers(pipe)
    left = calls

    def around(module: Any, call: Any, args: tuple[Any, ...], kwargs: Parameters) -> Any:
        nonlocal left
        if id(module) not in denoisers:
            return call(*args, **kwargs)
        if not left:
            raise _EnoughError
        left -= 1
        return call(*args, **kwargs)

    if any(map(has_compiled, denoisers.values())):
        generate()
    else:
        _until_enough(denoisers, around, generate, 1)


def paces(pipe: Any, generate: Callable[[], object], counts: Sequence[int], usual: int) -> dict[int, float]:
    """Return seconds that one call of each denoiser takes, by number of threads.

    Neighbouring calls have different numbers, so that a machine that is busy for a while is so for all of them. Nothing is
    returned where the file has set its own number, where nothing is known to denoise, and where it was compiled for
    one number.

    Args:
        pipe: the pipeline.
        generate: calls it; what it makes is not used.
        counts: numbers of threads to try.
        usual: the number that the process was started with.
    """
    import torch

    denoisers = _denoisers(pipe)
    if torch.get_num_threads() != usual or not denoisers or any(map(has_compiled, denoisers.values())):
        return {}
    taken: dict[int, dict[int, list[float]]] = {id_: defaultdict(list) for id_ in denoisers}
    calls: defaultdict[int, int] = defaultdict(int)

    def around(module: Any, call: Any, args: tuple[Any, ...], kwargs: Parameters) -> Any:
        if id(module) not in taken:
            return call(*args, **kwargs)
        if calls[id(module)] == _CALLS * len(counts):
            raise _EnoughError
        threads = counts[calls[id(module)] % len(counts)]
        calls[id(module)] += 1
        torch.set_num_threads(threads)
        began = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            taken[id(module)][threads].append(time.perf_counter() - began)
            torch.set_num_threads(usual)

    _until_enough(denoisers, around, generate, _AGAIN)
    called = [found for found in taken.values() if len(found.get(counts[-1], ())) > 1]
    if not called:
        return {}
    return {count: sum(statistics.median(found[count][1:]) for found in called) for count in counts}


def _denoisers(pipe: Any) -> dict[int, Any]:
    return {id(one): one for one in denoisers_of(pipe).values()}


def _until_enough(
    denoisers: Mapping[int, Any], around: Callable[..., Any], generate: Callable[[], object], most: int
) -> None:
    """Generate so often at most, with something around each call of the denoisers' classes that may end it."""
    with ExitStack() as stack:
        wrapped = Outermost()
        for kind in {type(one) for one in denoisers.values()}:
            wrapped.put(stack, kind, "__call__", around)
        try:
            for _ in range(most):
                generate()
        except _EnoughError:
            pass
