"""Whether two formulas are equal, by math-verify."""

from __future__ import annotations

import functools
import gc
import logging
import signal
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from bench.metrics.text.metric import TEXT_METRICS, Golds

Result = TypeVar("Result")

# A formula such as 10^{10^{10}} would be computed for hours.
SECONDS = 5.0
_AGAIN_S = 0.5


@TEXT_METRICS.register("math_equal", proportion=True)
def math_equal(answer: str | int, golds: Golds) -> float:
    r"""Return 1 if the answer is a formula that equals a right one, else 0. Both are LaTeX or plain text.

    ``\frac{1}{2}`` equals ``0.5``, ``x^2+1`` equals ``1+x^2``, and ``\{1,2\}`` equals ``\{2,1\}``. What takes
    longer than five seconds of processor time to compare is not equal. Source: the library math-verify.

    Example:
        >>> math_equal(r"\dfrac{1}{2}", ["0.5"]), math_equal("x+2", ["2x"])
        (1.0, 0.0)
    """
    texts = [str(answer), *(str(gold) for gold in golds)]
    if texts[0] in texts[1:]:
        return 1.0
    from math_verify import verify  # noqa: PLC0415  it takes a second to import

    # It would warn that its own limit, which counts other processes' time, is off.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    given, *right = [_parsed(text) for text in texts]
    # The order matters to the library: the right answer is the first.
    return float(
        any(_guarded(functools.partial(verify, gold, given, timeout_seconds=None)) for gold in right)
    )


def _parsed(text: str) -> Any:
    from math_verify import parse  # noqa: PLC0415

    bare = text.strip()
    for mark in ("$$", "$"):
        bare = bare.removeprefix(mark).removesuffix(mark)
    return _guarded(lambda: parse(f"${bare}$", parsing_timeout=None)) or []


class _TooLongError(BaseException):
    """The time is over. No ``except Exception`` of a library's takes it for a fault of its own."""


def _guarded(action: Callable[[], Result]) -> Result | None:
    """Return what an action returns, or None where it fails or computes for too long.

    Processor time counts: what other processes do must not change a score. A signal limits it, which only the main thread
    gets. It comes again until it is heard, since what a destructor raises is lost; the collector, whose callbacks
    lose it likewise, rests meanwhile.
    """
    if threading.current_thread() is not threading.main_thread():
        return _tried(action)
    before = signal.signal(signal.SIGVTALRM, _end)
    collects = gc.isenabled()
    gc.disable()
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS, _AGAIN_S)
    try:
        return _tried(action)
    except _TooLongError:
        return None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        if collects:
            gc.enable()


def _tried(action: Callable[[], Result]) -> Result | None:
    try:
        return action()
    except Exception:
        return None


def _end(*_: object) -> None:
    raise _TooLongError
