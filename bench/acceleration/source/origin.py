"""Which constructor call made the object that a variable of a pipeline file holds."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from bench.acceleration.source.names import END, Frame, Located, Scope, Unresolved, dotted, parameter_names
from bench.acceleration.source.values import Constants

CONSTRUCTORS = frozenset({"from_pretrained", "from_single_file", "from_config", "from_pipe"})
RETURN_THEIR_RECEIVER = frozenset(
    {"to", "cuda", "cpu", "half", "bfloat16", "float", "eval", "requires_grad_"}
)


@dataclass(frozen=True, slots=True)
class Origin:
    """The call that made an object: ``class_name`` without its module, and where the call stands."""

    class_name: str
    call: ast.Call
    constructor: str | None
    frame: Frame
    at: int


class Resolver(Constants):
    """Everything that can be asked about an expression: its name, its value, its origin."""

    def origin(self, node: ast.expr | None, frame: Frame, at: int) -> Origin | None:
        """The constructor call from which an object comes, followed through variables, local functions,
        ``.to(...)`` and functions that take the object first and return it.
        """
        self.ask()
        try:
            return self._origin(node, frame, at, 0)
        except Unresolved:
            return None

    def _origin(self, node: ast.expr | None, frame: Frame, at: int, depth: int) -> Origin | None:
        self.spend(depth)
        match node:
            case ast.Name() | ast.Attribute():
                found = self.lookup(dotted(node) or "", frame, at)
                return self._origin(found.node, found.frame, found.at, depth + 1) if found else None
            case ast.IfExp(body=first, orelse=second) | ast.BoolOp(values=[first, second]):
                self.in_doubt = True
                return self._origin(first, frame, at, depth + 1) or self._origin(second, frame, at, depth + 1)
            case ast.NamedExpr(value=value):
                return self._origin(value, frame, at, depth + 1)
            case ast.Call():
                return self._called_origin(node, frame, at, depth)
        return None

    def _called_origin(self, node: ast.Call, frame: Frame, at: int, depth: int) -> Origin | None:
        function = node.func
        made = None
        if isinstance(function, ast.Attribute) and function.attr in CONSTRUCTORS:
            class_name = (self.real_name(function.value, frame, at) or "").rpartition(".")[2]
            return Origin(class_name, node, function.attr, frame, at) if class_name[:1].isupper() else None
        if isinstance(function, ast.Attribute) and function.attr in RETURN_THEIR_RECEIVER:
            return self._origin(function.value, frame, at, depth + 1)
        name = (self.real_name(function, frame, at) or "").rpartition(".")[2]
        if isinstance(function, ast.Name) and function.id in self.functions:
            made = self._returned_origin(self.functions[function.id], node, frame, at, depth)
        elif name[:1].isupper() and not is_wrapper(name):
            made = Origin(name, node, None, frame, at)
        elif isinstance(function, ast.Name):
            made = self._lambda_origin(function.id, frame, at, depth)
        if made is None and node.args:  # a function that takes the object first, and returns it
            made = self._origin(node.args[0], frame, at, depth + 1)
        return made

    def _lambda_origin(self, name: str, frame: Frame, at: int, depth: int) -> Origin | None:
        found = self.lookup(name, frame, at)
        if found is None or not isinstance(found.node, ast.Lambda):
            return None
        return self._origin(found.node.body, found.frame, END, depth + 1)

    def _returned_origin(
        self, scope: Scope, call: ast.Call, frame: Frame, at: int, depth: int
    ) -> Origin | None:
        arguments = {
            name: Located(value, frame, at)
            for name, value in zip(parameter_names(scope.parameters), call.args, strict=False)
        }
        arguments |= {kw.arg: Located(kw.value, frame, at) for kw in call.keywords if kw.arg}
        inside = Frame(scope, arguments)
        self.in_doubt = self.in_doubt or len(scope.returns) > 1
        for order, value in reversed(scope.returns):
            made = self._origin(value, inside, order, depth + 1)
            if made is not None:
                return made
        return None


def is_wrapper(class_name: str) -> bool:
    """Whether a call that looks like a class is a function that returns the pipeline given to it."""
    return class_name.startswith("Tgate") and class_name.endswith("Loader")
