"""The names of a pipeline file: which scope binds which name to which expression, and when.

Files are untrusted, so every question is answered from a budget: a file whose names double at each step
would otherwise ask for 2**60 evaluations.
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path

END = 1 << 60  # later than every statement: how a function sees the names of its module
BUDGET = 1_000  # of one question
TOTAL_BUDGET = 50_000  # of one file
MAX_DEPTH = 40


@dataclass(slots=True, eq=False)
class Scope:
    """The names that a module, a class or a function binds, each with every value in source order.

    ``uncertain`` holds the order of every binding that may be made or not.
    """

    name: str
    kind: str  # module, class, function or method
    parent: Scope | None = None
    parameters: ast.arguments | None = None
    bindings: dict[str, list[tuple[int, ast.expr | None]]] = field(default_factory=dict)
    returns: list[tuple[int, ast.expr]] = field(default_factory=list)
    declared_global: set[str] = field(default_factory=set)
    uncertain: set[int] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Frame:
    """A scope together with the arguments that one call gave it."""

    scope: Scope
    arguments: dict[str, Located] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Located:
    """An expression and the place from which its names are to be looked up."""

    node: ast.expr
    frame: Frame
    at: int


class Unresolved(Exception):
    """The source does not say, or finding out costs too much."""


def dotted(node: ast.expr) -> str | None:
    """``a.b.c`` for a chain of attributes on a name, else None."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    parts.append(node.id)
    return ".".join(reversed(parts))


def source_text(node: ast.expr) -> str:
    """The expression as source text."""
    if isinstance(node, ast.Name):  # by far the most frequent, and unparse is slow
        return node.id
    if isinstance(node, ast.Constant) and type(node.value) in (int, bool, str):
        return repr(node.value)
    return ast.unparse(node)


def parameter_names(parameters: ast.arguments | None) -> list[str]:
    """The names of all parameters that are not starred, in order."""
    if parameters is None:
        return []
    return [p.arg for p in (*parameters.posonlyargs, *parameters.args, *parameters.kwonlyargs)]


class Names:
    """Looks names up in the scopes that were collected from one file.

    Attributes:
        in_doubt: whether an answer, since this was last set to False, depends on what the text leaves open: on a name that
            is bound under a condition, or on the environment.
    """

    def __init__(self, path: Path, module: Scope) -> None:
        self.path = path
        self.module = Frame(module)
        self.functions: dict[str, Scope] = {}
        self.imports: dict[str, str] = {}
        self.in_doubt = False
        self._given: dict[str, tuple[int, set[str | None]]] = {}
        self._total = TOTAL_BUDGET
        self._budget = 0

    def note_call(self, function: str, call: ast.Call) -> None:
        """Remember which parameters of a local function are given a value by some call in the file."""
        most, names = self._given.get(function, (0, set()))
        names.update(keyword.arg for keyword in call.keywords)
        self._given[function] = (max(most, len(call.args)), names)

    def lookup(self, name: str, frame: Frame, at: int) -> Located | None:
        """The value that ``name`` holds at the moment ``at``; None where no value is written down."""
        scope = frame.scope
        bound = scope.bindings.get(name)
        if bound:
            last = bisect_left(bound, at, key=_order) - 1
            if last >= 0:
                order, value = bound[last]
                self.in_doubt = self.in_doubt or order in scope.uncertain
                return None if value is None else Located(value, frame, order)
        if name in frame.arguments:
            return frame.arguments[name]
        if scope.parameters is not None and name in (given := parameter_names(scope.parameters)):
            return self._default(name, given.index(name), frame)
        if scope.parent is None:
            return None
        outer = self.module if scope.parent is self.module.scope else Frame(scope.parent)
        return self.lookup(name, outer, END)

    def _default(self, name: str, position: int, frame: Frame) -> Located | None:
        """A parameter's default, unless a call in the file gives that parameter another value."""
        parameters = frame.scope.parameters
        assert parameters is not None
        most, names = self._given.get(frame.scope.name, (0, set()))
        if most > position or name in names or None in names:
            return None
        positional = [*parameters.posonlyargs, *parameters.args]
        defaults: dict[str, ast.expr] = {}
        for argument, default in zip(reversed(positional), reversed(parameters.defaults), strict=False):
            defaults[argument.arg] = default
        for argument, keyword_default in zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True):
            if keyword_default is not None:
                defaults[argument.arg] = keyword_default
        return Located(defaults[name], self.module, END) if name in defaults else None

    def real_name(self, node: ast.expr, frame: Frame, at: int) -> str | None:
        """The dotted name with import aliases and ``cls = SomeClass`` variables undone."""
        for _ in range(MAX_DEPTH):
            name = dotted(node)
            if name is None:
                return None
            found = self.lookup(name, frame, at) if isinstance(node, ast.Name) else None
            if found is None or dotted(found.node) is None:
                root, _, rest = name.partition(".")
                root = self.imports.get(root, root)
                return f"{root}.{rest}" if rest else root
            node, frame, at = found.node, found.frame, found.at
        return None

    def spend(self, depth: int) -> None:
        """Pay for one step; too many or too deep ones end the question with :class:`Unresolved`."""
        self._budget -= 1
        self._total -= 1
        if min(self._budget, self._total) < 0 or depth > MAX_DEPTH:
            raise Unresolved

    def ask(self) -> None:
        """Start a new question."""
        self._budget = BUDGET


def _order(binding: tuple[int, ast.expr | None]) -> int:
    return binding[0]
