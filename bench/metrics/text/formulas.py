"""Whether two formulas are equal, by math-verify."""

from __future__ import annotations

import functools
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from bench.metrics.text.metric import TEXT_METRICS, Golds

Result = TypeVar("Result")

# A formula such as 10^{10^{10}} would be computed for hours.
_SECONDS = 5


@TEXT_METRICS.register("math_equal", proportion=True)
def math_equal(answer: str | int, golds: Golds) -> float:
    r"""Return 1 if the answer is a formula that equals a right one, else 0. Both are LaTeX or plain text.

    ``\frac{1}{2}`` equals ``0.5``, ``x^2+1`` equals ``1+x^2``, and ``\{1,2\}`` equals ``\{2,1\}``. What takes
    longer than five seconds to compare is not equal. Source: the library math-verify.

    Example:
        >>> math_equal(r"\dfrac{1}{2}", ["0.5"]), math_equal("x+2", ["2x"])
        (1.0, 0.0)
    """
    texts = [str(answer), *(str(gold) for gold in golds)]
    if texts[0] in texts[1:]:
        return 1.0
    from math_verify import verify  # noqa: PLC0415  it takes a second to import

    given, *right = [_parsed(text) for text in texts]
    # The order matters to the library: the right answer is the first.
    return float(
        any(_guarded(functools.partial(verify, gold, given, timeout_seconds=_limit())) for gold in right)
    )


def _parsed(text: str) -> Any:
    from math_verify import parse  # noqa: PLC0415

    bare = text.strip()
    for mark in ("$$", "$"):
        bare = bare.removeprefix(mark).removesuffix(mark)
    return _guarded(lambda: parse(f"${bare}$", parsing_timeout=_limit())) or []


def _limit() -> int | None:
    # The library limits its time by a signal, which only the main thread gets.
    return _SECONDS if threading.current_thread() is threading.main_thread() else None


def _guarded(action: Callable[[], Result]) -> Result | None:
    """Return what an action returns; the timer of the process, which the library uses for itself, goes on afterwards."""
    left, interval = signal.getitimer(signal.ITIMER_REAL)
    began = time.monotonic()
    try:
        return action()
    except Exception:
        return None
    finally:
        if left and threading.current_thread() is threading.main_thread():
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 0.01), interval)
