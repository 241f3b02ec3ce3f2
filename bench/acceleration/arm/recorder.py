"""Recording the call with which a file generates, whatever leads to it: a helper, a class, a coroutine, a table.

Wherever a pipeline of diffusers comes to be (loaded, put together from parts, made from another one), its class is given an
entry point that tells before it runs.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from bench.acceleration.arm.patching import put, tell_of_new
from bench.acceleration.source.reading import NOT_GENERATING, NOT_GENERATING_PREFIXES

_OWN_PACKAGES = ("diffusers", "transformers", "torch")


@dataclass(frozen=True)
class RecordedCall:
    """A call on a pipeline, before it ran.

    Attributes:
        pipe: the pipeline.
        entry_point: ``__call__``, ``tgate``, ...
        given: the arguments by name; those of ``**kwargs`` stand next to the others.
        parameters: names of the entry point's parameters, in order.
        defaults: of those that have one.
        line: of the file itself, from which the call was reached; None where none is on the stack.
        takes_generators: whether the entry point can be given generators.
        beneath: whether what stands around the pipeline, and led to the call, can be given none.
    """

    pipe: Any
    entry_point: str
    given: dict[str, Any]
    parameters: tuple[str, ...]
    defaults: dict[str, Any]
    line: int | None = None
    takes_generators: bool = True
    beneath: bool = False


@dataclass
class Recorder:
    """Tells of every call on a pipeline while it watches, those within a call that runs included.

    Args:
        on_call: told of each call. What it returns, unless it is :data:`RUN`, is the call's result.
        namespace: of the file, whose ``load_pipe`` marks the pipelines that it makes.
        on_assign: told of each attribute that is given to a pipeline: pipeline, name, value.
    """

    on_call: Callable[[RecordedCall], Any]
    namespace: dict[str, Any]
    on_assign: Callable[[Any, str, Any], None] | None = None
    made_by_loader: list[Any] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Recorder:
        """Begin to watch."""
        for base in pipeline_bases():
            self._watch_base(base)
        return self

    def _watch_base(self, base: Any) -> None:
        assign: Any = base.__setattr__

        def made(pipe: Any) -> None:
            self.watch(type(pipe))
            if _is_inside_loader(self.namespace):
                self.made_by_loader.append(pipe)

        @functools.wraps(assign)
        def set_attribute(pipe: Any, name: str, value: Any) -> None:
            if isinstance(value, types.MethodType) and value.__self__ is pipe and is_generating(name):
                # Such as T-GATE's loader, which gives the pipeline a method of its own.
                value = types.MethodType(self._telling(name, value.__func__), pipe)
            assign(pipe, name, value)
            if self.on_assign is not None:
                self.on_assign(pipe, name, value)

        tell_of_new(self._stack, base, made)
        put(self._stack, base, "__setattr__", set_attribute)

    def __exit__(self, *error: object) -> None:
        """Leave every class as it was."""
        self._stack.close()

    def watch(self, kind: type) -> None:
        """Let the entry points of a class tell; those of pipelines that come to be do so anyway."""
        for owner in kind.__mro__:
            for name, value in list(vars(owner).items()):
                is_entry = name == "__call__" or (
                    isinstance(value, types.FunctionType)
                    and owner.__module__.partition(".")[0] not in _OWN_PACKAGES
                    and is_generating(name)
                )
                if is_entry and callable(value) and not hasattr(value, "_modelgate_original"):
                    put(self._stack, owner, name, self._telling(name, value))
            if owner in pipeline_bases():
                return

    def watch_known(self) -> None:
        """Let the entry points of all classes tell whose pipelines may exist already."""
        kinds: list[Any] = list(pipeline_bases())
        while kinds:
            kind = kinds.pop()
            self.watch(kind)
            kinds += kind.__subclasses__()

    def _telling(self, name: str, original: Any) -> Any:
        @functools.wraps(original)
        def told(pipe: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                call = _recorded(pipe, name, original, args, kwargs, self.namespace)
            except TypeError:  # of arguments that it does not take, and says so itself
                return original(pipe, *args, **kwargs)
            answer = self.on_call(call)
            return original(pipe, *args, **kwargs) if answer is RUN else answer

        told._modelgate_original = original  # type: ignore[attr-defined]
        return told


RUN: Any = object()
"""Returned by a listener that lets the call run."""


def is_generating(name: str) -> bool:
    """Whether a method of that name may be an entry point."""
    return name not in NOT_GENERATING and not name.startswith(NOT_GENERATING_PREFIXES)


def pipeline_bases() -> tuple[type, ...]:
    """Return the classes of which every pipeline of diffusers is one."""
    from diffusers import DiffusionPipeline, ModularPipeline

    return DiffusionPipeline, ModularPipeline


def _recorded(
    pipe: Any,
    name: str,
    original: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    namespace: dict[str, Any],
) -> RecordedCall:
    signature = inspect.signature(original)
    parameters = list(signature.parameters.values())[1:]  # without self
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY, p.POSITIONAL_ONLY)]
    given = by_name(signature.bind_partial(pipe, *args, **kwargs).arguments, parameters)
    line = line_within(namespace)
    names = tuple(p.name for p in named)
    return RecordedCall(pipe, name, given, names, defaults_of(original), line, _takes_generators(parameters))


def _takes_generators(parameters: Sequence[inspect.Parameter]) -> bool:
    return any(p.name == "generator" or p.kind is p.VAR_KEYWORD for p in parameters)


def by_name(bound: Mapping[str, Any], parameters: Sequence[inspect.Parameter]) -> dict[str, Any]:
    """Return the arguments of a call by name: those of ``**kwargs`` next to the others, those of ``*args`` as ``*0``, ...

    Args:
        bound: by the names of the parameters.
        parameters: of the entry point.
    """
    given: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.name not in bound:
            continue
        value = bound[parameter.name]
        if parameter.kind is parameter.VAR_KEYWORD:
            given |= value
        elif parameter.kind is parameter.VAR_POSITIONAL:
            given |= {f"*{index}": item for index, item in enumerate(value)}
        else:
            given[parameter.name] = value
    return given


def through(outer: Any, call: RecordedCall) -> RecordedCall:
    """Return the call on what stands around a pipeline that led to a call on it; the call itself where there is none.

    What takes no generators is left aside, as a function of the file would be: the run's could not be given to it.
    """
    frame: types.FrameType | None = sys._getframe(1)
    found = call
    while frame is not None:
        code, names = frame.f_code, frame.f_code.co_varnames
        function: Any = inspect.unwrap(getattr(type(outer), code.co_name, through))
        if getattr(function, "__code__", None) is code and names and frame.f_locals.get(names[0]) is outer:
            parameters = list(inspect.signature(function).parameters.values())[1:]
            if not _takes_generators(parameters):
                return replace(call, beneath=True)
            given = by_name({p.name: frame.f_locals[p.name] for p in parameters}, parameters)
            named = tuple(p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
            found = RecordedCall(call.pipe, code.co_name, given, named, defaults_of(function), call.line)
        frame = frame.f_back
    return found


def defaults_of(entry: Any) -> dict[str, Any]:
    """Return the defaults of an entry point's parameters; nothing where Python cannot tell them."""
    try:
        parameters = inspect.signature(entry).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _is_inside_loader(namespace: dict[str, Any]) -> bool:
    loader: Any = namespace.get("load_pipe")
    while isinstance(loader, functools.partial):
        loader = loader.func
    code = getattr(inspect.unwrap(loader) if callable(loader) else None, "__code__", None)
    return any(
        frame.f_code is code or (frame.f_globals is namespace and frame.f_code.co_name == "load_pipe")
        for frame in frames_above()
    )


def line_within(namespace: dict[str, Any], innermost: types.FrameType | None = None) -> int | None:
    """Return the line of a file at which a stack is, or None where the file is not on it.

    Args:
        namespace: of the file.
        innermost: frame of the stack; left out, that of this thread.
    """
    frames = frames_above(innermost or sys._getframe(1))
    return next((frame.f_lineno for frame in frames if frame.f_globals is namespace), None)


def frames_above(innermost: types.FrameType | None = None) -> Iterator[types.FrameType]:
    """Yield the frames on a stack, the innermost first; left out, on that of this thread."""
    frame: types.FrameType | None = innermost or sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back
