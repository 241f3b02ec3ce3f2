"""What to do about a file that shows no pipeline, by what it defines."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.acceleration.arm.recorder import pipeline_bases
from bench.acceleration.protocol.messages import OwnCall

_MAKING = ("from_pretrained", "from_single_file", "from_pipe", "from_config")
_ASSIGN = "assign the pipeline to `pipe` at module level"
Function = ast.FunctionDef | ast.AsyncFunctionDef


def advice(namespace: dict[str, Any], path: Path, call: OwnCall | None, others: Sequence[str]) -> str:
    """Return what to do about a file without a pipeline.

    Args:
        namespace: what the file defines.
        path: the file.
        call: its own, as it was seen while it ran as a script.
        others: the pipelines that it called there besides its own.
    """
    from diffusers import ModelMixin, SchedulerMixin

    named = [name for name, value in namespace.items() if isinstance(value, pipeline_bases())]
    if named:
        return f"{_ASSIGN}; found a pipeline in `{named[0]}`: name it `pipe`"
    built = _built_as_script(call, others)
    if built:
        return (
            f"found {built} when it runs as a script, which no other file can import; assign it to `pipe` at module "
            "level, or let load_pipe() return it"
        )
    parts = [name for name, value in namespace.items() if isinstance(value, ModelMixin | SchedulerMixin)]
    if parts:
        return (
            f"found parts of one ({', '.join(parts)}), and no pipeline that holds them; make one, as in pipe = "
            "StableDiffusionPipeline.from_pretrained(...), and put a loop of your own over its parts into "
            "generate(pipe, prompts, generators)"
        )
    return _ASSIGN + next(_makers(path), "")


def _built_as_script(call: OwnCall | None, others: Sequence[str]) -> str:
    """Return which pipeline a file was seen to call as a script; empty where it called none."""
    if call is None:
        return f"a {others[0]}" if others else ""
    return "one" if call.line is None else f"one that line {call.line} calls"


def _makers(path: Path) -> Iterator[str]:
    """Yield how to come by what the file's classes keep and its functions return, as far as its text shows it."""
    # What cannot be read was not run either, and says so elsewhere.
    with suppress(OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        tree = ast.parse(path.read_bytes())
        yield from _makers_in(tree)


def _makers_in(tree: ast.Module) -> Iterator[str]:
    for outer in tree.body:
        if isinstance(outer, ast.ClassDef):
            for method in outer.body:
                if isinstance(method, Function) and (kept := _kept_by(method)):
                    way = _way_to(outer.name, method, kept)
                    yield f"; found one that {outer.name}.{method.name}() keeps as `self.{kept}`: {way}"
        elif isinstance(outer, Function) and _returns_one(outer):
            yield f"; found one that {outer.name}() returns: pipe = {outer.name}({_arguments(outer)})"


def _way_to(kind: str, method: Function, kept: str) -> str:
    if method.name == "__init__":
        return f"pipe = {kind}({_arguments(method, own=1)}).{kept}"
    name = kind.lower()
    return f"{name} = {kind}(); {name}.{method.name}({_arguments(method, own=1)}); pipe = {name}.{kept}"


def _arguments(function: Function, own: int = 0) -> str:
    """Return the arguments to write in a call, which are left to the author; empty where there are none."""
    takes = function.args
    return "..." if len(takes.posonlyargs) + len(takes.args) + len(takes.kwonlyargs) > own else ""


def _kept_by(method: Function) -> str:
    """Return the name under which a method keeps a pipeline that it makes in ``self``; empty where it keeps none."""
    for node in ast.walk(method):
        for target in _targets(node):
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                return target.attr
    return ""


def _returns_one(function: Function) -> bool:
    targets = (target for node in ast.walk(function) for target in _targets(node))
    made = {target.id for target in targets if isinstance(target, ast.Name)}
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]
    return any(_makes_one(value) or (isinstance(value, ast.Name) and value.id in made) for value in returned)


def _targets(node: ast.AST) -> list[ast.expr]:
    """Return what a statement assigns a pipeline to that it makes."""
    if isinstance(node, ast.Assign) and _makes_one(node.value):
        return node.targets
    if isinstance(node, ast.AnnAssign) and node.value is not None and _makes_one(node.value):
        return [node.target]
    return []


def _makes_one(value: ast.expr) -> bool:
    """Whether an expression makes a pipeline, by the name of its class: ``StableDiffusionPipeline.from_pretrained(...)``."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in _MAKING and "Pipeline" in ast.unparse(node.value)
        for node in ast.walk(value)
    )
