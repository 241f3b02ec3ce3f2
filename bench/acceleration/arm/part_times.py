"""Timing, in the arm, the parts of a pipeline in one call that is not timed itself: text encoders, denoisers, the decoder.

Parts are timed from outside, by their classes and keyed by instance, as they are counted: what is compiled holds no hook.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from bench.acceleration.arm.counting import Outermost, denoisers_of, text_encoders_of
from bench.acceleration.methods import Parameters

TEXT_ENCODER, DENOISER, DECODER, ENCODER, REST = (
    "text encoder",
    "denoiser",
    "decoder",
    "image encoder",
    "rest",
)
_AUTOENCODER = re.compile(r"(vae|vqvae|vqgan|movq|audio_vae)(_\d+)?")


class PartClock:
    """Adds up the seconds that each sort of part takes.

    Args:
        clock: returns the present second, when all that was asked for is done.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seconds: dict[str, float] = {}
        self._sorts: dict[int, str] = {}
        self._kept: list[Any] = []  # so that no other part gets the id of one
        self._calls = Outermost()
        self._running = 0
        self._began = clock()

    def watch(self, stack: ExitStack, pipe: Any) -> None:
        """Time the parts of a pipeline until the stack is left."""
        for part in denoisers_of(pipe).values():
            self._time(stack, part, "__call__", DENOISER)
        for part in text_encoders_of(pipe).values():
            self._time(stack, part, "__call__", TEXT_ENCODER)
        for name, part in vars(pipe).items():
            if _AUTOENCODER.fullmatch(name):
                for method, sort in (("decode", DECODER), ("encode", ENCODER)):
                    self._time(stack, part, method, sort)

    def seconds(self) -> dict[str, float] | None:
        """Return the seconds of each sort since the begin, and of the rest; None where no part was seen to run."""
        if not self._seconds:
            return None
        total = self._clock() - self._began
        return {**self._seconds, REST: max(0.0, total - sum(self._seconds.values()))}

    def _time(self, stack: ExitStack, part: Any, method: str, sort: str) -> None:
        kind = type(part)
        if not hasattr(kind, method):
            return
        self._kept.append(part)
        self._sorts[id(part)] = sort

        def around(thing: Any, call: Any, args: tuple[Any, ...], kwargs: Parameters) -> Any:
            if id(thing) not in self._sorts or self._running:  # a part within another one is the other one's
                return call(*args, **kwargs)
            began = self._clock()
            self._running += 1
            try:
                return call(*args, **kwargs)
            finally:
                self._running -= 1
                self._seconds[sort] = self._seconds.get(sort, 0.0) + self._clock() - began

        self._calls.put(stack, kind, method, around)
