"""Constants of a pipeline file: numbers, texts, paths and collections of them, computed without executing.

Each kind of expression has one small function in :data:`EVALUATORS`; an expression of any other kind is
:data:`UNKNOWN`.
"""

from __future__ import annotations

import ast
import operator
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.acceleration.source.names import Frame, Located, Names, Unresolved

UNKNOWN: Any = object()
MAX_TEXT = 4_096

OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
PATH_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "os.path.join": os.path.join,
    "os.path.dirname": os.path.dirname,
    "os.path.basename": os.path.basename,
    "os.path.abspath": os.path.abspath,
    "os.path.realpath": os.path.realpath,
    "os.path.normpath": os.path.normpath,
    "os.fspath": os.fspath,
    "pathlib.Path": Path,
    "pathlib.PurePath": Path,
    "str": str,
    "int": int,
    "float": float,
    "dict": dict,
}
PATH_METHODS = frozenset({"resolve", "absolute", "joinpath", "as_posix", "with_name"})
PATH_ATTRIBUTES = frozenset({"parent", "parents", "name", "stem"})


class Constants(Names):
    """Names whose constant values can be asked for."""

    def constant(self, node: ast.expr, frame: Frame, at: int) -> Any:
        """The value of a constant expression: a number, text, path, list or dict; else :data:`UNKNOWN`."""
        self.ask()
        try:
            return self.evaluate(node, Located(node, frame, at), 0)
        except (Unresolved, ValueError, TypeError, ArithmeticError, LookupError, OSError, AttributeError):
            return UNKNOWN

    def evaluate(self, node: ast.expr, place: Located, depth: int) -> Any:
        """The value, or :class:`Unresolved`; ``place`` says from where names are looked up."""
        self.spend(depth)
        evaluator = EVALUATORS.get(type(node))
        if evaluator is None:
            raise Unresolved
        value = evaluator(self, node, place, depth + 1)
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise Unresolved  # doubling a text forty times would fill the memory
        return value


def _literal(names: Constants, node: Any, place: Located, depth: int) -> Any:
    return node.value


def _name(names: Constants, node: Any, place: Located, depth: int) -> Any:
    if node.id == "__file__":
        return str(names.path)
    found = names.lookup(node.id, place.frame, place.at)
    if found is None:
        raise Unresolved
    return names.evaluate(found.node, found, depth)


def _joined_text(names: Constants, node: Any, place: Located, depth: int) -> str:
    return "".join(str(names.evaluate(part, place, depth)) for part in node.values)


def _formatted(names: Constants, node: Any, place: Located, depth: int) -> Any:
    if node.conversion != -1 or node.format_spec is not None:
        raise Unresolved
    return names.evaluate(node.value, place, depth)


def _unary(names: Constants, node: Any, place: Located, depth: int) -> Any:
    if not isinstance(node.op, ast.USub):
        raise Unresolved
    return -names.evaluate(node.operand, place, depth)


def _binary(names: Constants, node: Any, place: Located, depth: int) -> Any:
    combine = OPERATORS.get(type(node.op))
    if combine is None:
        raise Unresolved
    left, right = (names.evaluate(side, place, depth) for side in (node.left, node.right))
    if combine is operator.mul and not (isinstance(left, int | float) and isinstance(right, int | float)):
        raise Unresolved  # "a" * 10**9 is a way to fill the memory
    return combine(left, right)


def _sequence(names: Constants, node: Any, place: Located, depth: int) -> list[Any]:
    return [names.evaluate(item, place, depth) for item in node.elts]


def _mapping(names: Constants, node: Any, place: Located, depth: int) -> dict[Any, Any]:
    if None in node.keys:
        raise Unresolved
    pairs = zip(node.keys, node.values, strict=True)
    return {names.evaluate(k, place, depth): names.evaluate(v, place, depth) for k, v in pairs}


def _attribute(names: Constants, node: Any, place: Located, depth: int) -> Any:
    if node.attr not in PATH_ATTRIBUTES:
        raise Unresolved
    return getattr(_path(names.evaluate(node.value, place, depth)), node.attr)


def _item(names: Constants, node: Any, place: Located, depth: int) -> Any:
    return names.evaluate(node.value, place, depth)[names.evaluate(node.slice, place, depth)]


def _call(names: Constants, node: Any, place: Located, depth: int) -> Any:
    name = names.real_name(node.func, place.frame, place.at)
    if name in ("os.environ.get", "os.getenv") and len(node.args) == 2:
        names.in_doubt = True
        return names.evaluate(node.args[1], place, depth)  # what holds where nobody sets the variable
    function = node.func
    owner: Path | None = None
    if name not in PATH_FUNCTIONS:
        if not isinstance(function, ast.Attribute) or function.attr not in PATH_METHODS:
            raise Unresolved
        owner = _path(names.evaluate(function.value, place, depth))
    if any(keyword.arg is None for keyword in node.keywords):
        raise Unresolved
    arguments = [names.evaluate(argument, place, depth) for argument in node.args]
    if owner is not None:
        return getattr(owner, function.attr)(*arguments)
    named = {keyword.arg: names.evaluate(keyword.value, place, depth) for keyword in node.keywords}
    return PATH_FUNCTIONS[str(name)](*arguments, **named)


def _path(value: Any) -> Path:
    if not isinstance(value, Path):
        raise Unresolved
    return value


EVALUATORS: dict[type, Callable[[Constants, Any, Located, int], Any]] = {
    ast.Constant: _literal,
    ast.Name: _name,
    ast.JoinedStr: _joined_text,
    ast.FormattedValue: _formatted,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.List: _sequence,
    ast.Tuple: _sequence,
    ast.Dict: _mapping,
    ast.Attribute: _attribute,
    ast.Subscript: _item,
    ast.Call: _call,
}
