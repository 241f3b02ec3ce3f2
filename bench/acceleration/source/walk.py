"""One walk over the syntax tree of a pipeline file: its scopes, calls and attribute assignments, in order."""

from __future__ import annotations

import ast
import codecs
import io
import stat
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.acceleration.source.applied import CallSite
from bench.acceleration.source.names import Frame, Scope, dotted
from bench.acceleration.source.origin import Resolver
from bench.core.errors import SourceProblem

MAX_SOURCE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class AttributeAssignment:
    """``target.name = value``, and the place where it stands; `certain` as in :class:`CallSite`."""

    order: int
    target: ast.Attribute
    value: ast.expr
    frame: Frame
    guarded: bool
    certain: bool = True


def parse_file(path: Path) -> ast.Module:
    """The syntax tree of a file.

    Raises:
        SourceProblem: the file is missing, no regular file, too large, not UTF-8 or no Python.
    """
    try:
        status = path.stat()
        # A pipe or a device would block or never end.
        if not stat.S_ISREG(status.st_mode):
            raise SourceProblem(f"{path} is no regular file; expected a Python file; correct the path")
        if path.suffix == ".ipynb":  # before its size, as images are in it
            raise SourceProblem(
                f"{path} is a notebook; expected a Python file; write one with `jupyter nbconvert --to script`"
            )
        if status.st_size > MAX_SOURCE_BYTES:
            raise SourceProblem(
                f"{path} has {status.st_size:,} bytes; expected a pipeline file of at most "
                f"{MAX_SOURCE_BYTES:,}; move data out of the source"
            )
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceProblem(f"{path} cannot be read ({reason}); expected a Python file there") from error
    text = _decoded(raw, path)
    try:
        return ast.parse(text, filename=str(path))
    except SyntaxError as error:
        shown = (error.text or "").strip()[:120]
        raise SourceProblem(
            f"{path}, line {error.lineno}, column {error.offset}: {error.msg}"
            f"{f': {shown!r}' if shown else ''}; expected valid Python; {_correction(shown)}"
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise SourceProblem(
            f"{path} cannot be parsed ({type(error).__name__}: {error}); expected valid Python of usual depth"
        ) from error


def _correction(line: str) -> str:
    if line.startswith(("!", "%")):
        return "leave out the lines of the notebook that begin with ! or %"
    return "correct that line"


def _decoded(raw: bytes, path: Path) -> str:
    """Return the text of a file, in UTF-8 or in the encoding that its first lines declare (PEP 263)."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
    except SyntaxError as error:
        if not isinstance(error.__context__, UnicodeDecodeError):
            raise SourceProblem(
                f"{path} declares an encoding that Python does not know ({error.msg}); expected Python source in UTF-8; "
                "save it in that encoding"
            ) from error
        encoding = "utf-8-sig"  # nothing is declared, and it is no UTF-8: the next lines say where
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        if b"\0" in raw and not raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise SourceProblem(
                f"{path} is no text; expected Python source in UTF-8; correct the path"
            ) from error
        raise SourceProblem(
            f"{path} is not {encoding.removesuffix('-sig').upper()} (byte {raw[error.start]:#04x} at offset {error.start}); "
            "expected Python source in UTF-8; save it in that encoding"
        ) from error
    except (LookupError, ValueError) as error:  # such as rot13, which makes no text of bytes
        raise SourceProblem(
            f"{path} declares the encoding {encoding}, which makes no text ({error}); expected Python source in UTF-8; "
            "save it in that encoding"
        ) from error


class SourceWalk:
    """One walk over the tree: scopes with their bindings, calls, and assignments to attributes."""

    def __init__(self, path: Path) -> None:
        self.scope = self.module = Scope("<module>", "module")
        self.resolver = Resolver(path, self.module)
        self.calls: list[CallSite] = []
        self.attributes: list[AttributeAssignment] = []
        self.defined: set[str] = set()
        self.called: set[str] = set()
        self.guarded = False
        self.certain = True
        self.order = 0
        self._frame = self.resolver.module

    def walk(self, node: ast.AST) -> None:
        """Go through a node; a leaf, whatever value it holds, has nothing inside."""
        if type(node) in _LEAVES:
            return
        _HANDLERS.get(type(node), SourceWalk.walk_children)(self, node)

    def walk_children(self, node: ast.AST) -> None:
        # ast.iter_child_nodes() would visit the leaves, too, which are most of a tree and hold nothing.
        for name in node._fields:
            value: Any = getattr(node, name, None)
            kind = type(value)
            if kind is list:
                self.walk_list(value)
            elif isinstance(value, ast.AST):
                self.walk(value)

    def walk_list(self, nodes: list[Any]) -> None:
        """Go through expressions, or through statements up to one behind which nothing runs."""
        outer = self.certain
        for node in nodes:
            if not isinstance(node, ast.AST):
                continue
            self.walk(node)
            if (
                isinstance(node, _ENDS) and self.scope is not self.module
            ):  # a module that ends so is never used
                break
            if isinstance(node, _BRANCHES) and _may_leave(node):
                self.certain = False
        self.certain = outer

    def on_branches(self, node: ast.AST) -> None:
        """Go through what runs under a condition, as often as a loop says, or until an exception."""
        outer, self.certain = self.certain, False
        self.walk_children(node)
        self.certain = outer

    def on_try(self, node: ast.Try | ast.TryStar) -> None:
        outer = self.certain
        self.certain = outer and not node.handlers
        for part in (node.body, node.handlers, node.orelse):
            self.walk_list(part)
        self.certain = outer
        self.walk_list(node.finalbody)

    def bind(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for element in target.elts:
                self.bind(element, None)
            return
        name = dotted(target)
        if name is None:
            return
        self.order += 1
        self.bind_name(name, value)
        if isinstance(target, ast.Attribute) and value is not None:
            self.attributes.append(
                AttributeAssignment(self.order, target, value, self._frame, self.guarded, self.certain)
            )

    def bind_name(self, name: str, value: ast.expr | None) -> None:
        scope = self.module if name in self.scope.declared_global else self.scope
        scope.bindings.setdefault(name, []).append((self.order, value))
        if not self.certain:
            scope.uncertain.add(self.order)
        if scope is self.module and not self.guarded:
            self.defined.add(name)

    def on_assign(self, node: ast.Assign) -> None:
        self.walk(node.value)
        for target in node.targets:
            self.bind(target, node.value)

    def on_annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.walk(node.value)
            self.bind(node.target, node.value)

    def on_walrus(self, node: ast.NamedExpr) -> None:
        self.walk(node.value)
        self.bind(node.target, node.value)

    def on_call(self, node: ast.Call) -> None:
        self.walk_children(node)
        self.order += 1
        live = not self.guarded
        self.calls.append(CallSite(self.order, node, self._frame, live=live, certain=self.certain))
        if isinstance(node.func, ast.Name):
            self.resolver.note_call(node.func.id, node)
            if not self.guarded:
                self.called.add(node.func.id)

    def on_function(self, node: ast.FunctionDef) -> None:
        for outside in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            if outside is not None:
                self.walk(outside)
        self.order += 1
        if self.scope.kind == "class":
            scope = Scope(node.name, "method", self.module, node.args)
        else:
            scope = Scope(node.name, "function", self.scope, node.args)
            self.resolver.functions[node.name] = scope
            if self.scope is self.module and not self.guarded:
                self.defined.add(node.name)
        self.walk_inside(scope, node.body)

    def on_class(self, node: ast.ClassDef) -> None:
        self.order += 1
        self.bind_name(node.name, None)
        self.walk_inside(Scope(node.name, "class", self.scope), node.body)

    def walk_inside(self, scope: Scope, body: list[ast.stmt]) -> None:
        outer, outer_frame = self.scope, self._frame
        outer_certain, self.certain = self.certain, True  # as long as it runs at all
        self.scope, self._frame = scope, Frame(scope)
        self.walk_list(body)
        self.scope, self._frame, self.certain = outer, outer_frame, outer_certain

    def on_return(self, node: ast.Return) -> None:
        if node.value is not None:
            self.walk(node.value)
            self.order += 1
            self.scope.returns.append((self.order, node.value))

    def on_if(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Constant):
            self.walk_list(node.body if node.test.value else node.orelse)
            return
        self.walk(node.test)
        is_main = _is_main_guard(node.test)
        outer, outer_certain = self.guarded, self.certain
        self.guarded, self.certain = outer or is_main, outer_certain and is_main
        self.walk_list(node.body)
        self.guarded = outer
        self.walk_list(node.orelse)
        self.certain = outer_certain

    def on_with_item(self, node: ast.withitem) -> None:
        self.walk(node.context_expr)
        if node.optional_vars is not None:
            self.bind(node.optional_vars, node.context_expr)

    def on_for(self, node: ast.For) -> None:
        self.bind(node.target, None)
        self.on_branches(node)

    def on_import(self, node: ast.Import | ast.ImportFrom) -> None:
        module = node.module or "" if isinstance(node, ast.ImportFrom) else None
        for alias in node.names:
            if module is None:
                name, real = (
                    (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
                )
            else:
                name, real = alias.asname or alias.name, f"{module}.{alias.name}".lstrip(".")
            self.resolver.imports[name] = real
            if self.scope is self.module and not self.guarded:
                self.defined.add(name)

    def on_global(self, node: ast.Global) -> None:
        self.scope.declared_global.update(node.names)

    def on_nothing(self, node: ast.AST) -> None:
        """Skip coroutines: they are no entry points here."""


# Behind these statements nothing runs; within those, what stands there may run or not.
_ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_BRANCHES = (ast.If, ast.For, ast.While, ast.Try, ast.TryStar, ast.With, ast.Match)
_LEAVES = frozenset({ast.Name, ast.Constant, ast.Load, ast.Store, ast.Del, ast.Pass})
_HANDLERS: dict[type, Any] = {
    ast.Assign: SourceWalk.on_assign,
    ast.AnnAssign: SourceWalk.on_annotated,
    ast.NamedExpr: SourceWalk.on_walrus,
    ast.Call: SourceWalk.on_call,
    ast.FunctionDef: SourceWalk.on_function,
    ast.AsyncFunctionDef: SourceWalk.on_nothing,
    ast.ClassDef: SourceWalk.on_class,
    ast.Return: SourceWalk.on_return,
    ast.If: SourceWalk.on_if,
    ast.withitem: SourceWalk.on_with_item,
    ast.For: SourceWalk.on_for,
    **dict.fromkeys((ast.Try, ast.TryStar), SourceWalk.on_try),
    **dict.fromkeys(
        (
            ast.While,
            ast.Match,
            ast.IfExp,
            ast.BoolOp,
            ast.ListComp,
            ast.SetComp,
            ast.DictComp,
            ast.GeneratorExp,
        ),
        SourceWalk.on_branches,
    ),
    ast.Import: SourceWalk.on_import,
    ast.ImportFrom: SourceWalk.on_import,
    ast.Global: SourceWalk.on_global,
}


def _may_leave(node: ast.AST, *, in_loop: bool = False) -> bool:
    """Whether some way through a statement leads out of its function, or out of the loop around it."""
    if isinstance(node, ast.Return):
        return True
    if isinstance(node, ast.Continue | ast.Break):
        return not in_loop
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
        return False
    in_loop = in_loop or isinstance(node, ast.For | ast.While)
    return any(_may_leave(child, in_loop=in_loop) for child in ast.iter_child_nodes(node))


def _is_main_guard(test: ast.expr) -> bool:
    match test:
        case ast.Compare(
            left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant("__main__")]
        ):
            return True
        case ast.Compare(
            left=ast.Constant("__main__"), ops=[ast.Eq()], comparators=[ast.Name(id="__name__")]
        ):
            return True
    return False
