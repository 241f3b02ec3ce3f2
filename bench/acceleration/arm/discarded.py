"""Whether a file throws away what a call on its pipeline returns, as where the call only warms up."""

from __future__ import annotations

import ast
import functools
import types
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bench.acceleration.arm.recorder import frames_above

_OWN = "bench.acceleration.arm."


def is_discarded() -> bool:
    """Whether the result of the recorded call that is on the stack goes nowhere: into `_`, or into nothing at all."""
    for frame in frames_above():
        if frame.f_globals.get("__name__", "").startswith(_OWN):
            continue
        use = _use_of(frame)
        if not isinstance(use, ast.Return | ast.Lambda):
            return _is_nowhere(use)
    return False


def _is_nowhere(use: ast.AST | None) -> bool:
    if isinstance(use, ast.Assign):
        return all(isinstance(target, ast.Name) and not target.id.strip("_") for target in use.targets)
    return isinstance(use, ast.Expr)


def _use_of(frame: types.FrameType) -> ast.AST | None:
    """Return the statement or lambda that takes what a frame's call returns, or a part of that; None where neither does."""
    places = frame.f_code.co_positions()
    place = next(islice(places, frame.f_lasti // 2, None), None)
    node = _calls_in(frame.f_code.co_filename).get(place) if place is not None else None
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        parent: ast.AST | None = getattr(node, "parent", None)
        if isinstance(parent, ast.Call) or (isinstance(parent, ast.Subscript) and parent.value is not node):
            return None
        node = parent
    return node


Place = tuple[int | None, int | None, int | None, int | None]


@functools.lru_cache(maxsize=64)
def _calls_in(file: str) -> dict[Place, ast.AST]:
    """Return the calls in a file by their places, with what each is part of."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):  # what was run is in no file
        return {}
    for parent in ast.walk(tree):
        for child in ast.iter_child_nodes(parent):
            child.parent = parent  # type: ignore[attr-defined]
    return dict(_placed(tree))


def _placed(tree: ast.AST) -> Iterator[tuple[Place, ast.AST]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset), node
