"""Which package code belongs to: a library's, this one, or one of the file's own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.acceleration.methods import LIBRARIES
from bench.core.interpreter import OWN_PACKAGE

_FOLDER = Path(__file__).parents[2]
OWN_PACKAGES = LIBRARIES | {OWN_PACKAGE}
"""Packages whose code is not the file's own; methods name theirs."""


def package_of(kind: type) -> str:
    """Return the name of the package that a class belongs to; none of a package of the file's own that is called as ours."""
    name = kind.__module__.partition(".")[0]
    if name != OWN_PACKAGE:
        return name
    module = sys.modules.get(kind.__module__)
    stands_there = getattr(module, kind.__qualname__.partition(".")[0], None) is not None
    return name if stands_there and _is_in_ours(getattr(module, "__file__", None)) else ""


def is_of(function: Callable[..., Any], packages: frozenset[str]) -> bool:
    """Whether a function's code belongs to one of some packages; one without a place of its own does."""
    # functools.wraps() copies __module__ from what is wrapped; the globals are the function's own.
    name = getattr(function, "__globals__", {}).get("__name__", "").partition(".")[0]
    if name == OWN_PACKAGE and not _is_in_ours(function.__code__.co_filename):
        return False
    return not name or name in packages


def _is_in_ours(file: str | None) -> bool:
    return file is not None and Path(file).is_relative_to(_FOLDER)
