"""Attributes of other packages that are others for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(owner: Any, **stand_ins: Any) -> Iterator[None]:
    """Let attributes of a module or a class be others while the body runs, whatever it raises.

    Args:
        owner: whose they are, under these names.
        stand_ins: what takes their place, by name.
    """
    own = {name: getattr(owner, name) for name in stand_ins}
    for name, stand_in in stand_ins.items():
        setattr(owner, name, stand_in)
    try:
        yield
    finally:
        for name, value in own.items():
            setattr(owner, name, value)
