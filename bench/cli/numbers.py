"""Values of the command line: numbers that have to be within bounds, and paths."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path


def number(text: str, holds: Callable[[float], bool], expected: str) -> float:
    """Return the number of a text.

    Args:
        text: as it was given.
        holds: whether a number is within the bounds; is asked of NaN where the text is none.
        expected: the bounds in words.

    Raises:
        argparse.ArgumentTypeError: what was found and expected.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not holds(value):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {expected}")
    return value


def path(text: str) -> Path:
    """Return the path of a text.

    Raises:
        argparse.ArgumentTypeError: an empty text, such as a variable of a script that is not set.
    """
    if not text:
        raise argparse.ArgumentTypeError("found an empty text, expected a path")
    return Path(text)
