"""How two processes ask each other: one runs a program, the other one its tests."""

from __future__ import annotations

import json
import operator
import socket
import struct
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from bench.machine.programs.objects import Handles, Remote, UnreadableValue
from bench.machine.programs.values import Reader, Tree, ValueWriter

_HEAD = struct.Struct("!I")
_MOST_BYTES = 64 * 2**20
_MOST_TEXT = 2**20


class Gone(BaseException):
    """The other process has ended, or has closed its channel. No ``except Exception`` of a test may catch it."""


def send(connection: socket.socket, message: Tree) -> None:
    """Send a message.

    Raises:
        Gone: nobody reads it.
        UnreadableValue: it is too long.
    """
    data = json.dumps(message).encode()
    if len(data) > _MOST_BYTES:
        raise UnreadableValue(f"a message of {len(data)} bytes")
    try:
        connection.sendall(_HEAD.pack(len(data)) + data)
    except OSError as error:
        raise Gone(f"{error}") from None


def receive(connection: socket.socket) -> Tree:
    """Return the next message.

    Raises:
        Gone: there is none.
        UnreadableValue: no message.
    """
    (size,) = _HEAD.unpack(_exactly(connection, _HEAD.size))
    if size > _MOST_BYTES:
        raise UnreadableValue(f"a message of {size} bytes")
    data = _exactly(connection, size)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnreadableValue(f"{error}") from None


class Peer:
    """One of two processes.

    Args:
        connection: to the other one.
        serves: what the other one may ask, by name; each takes the arguments of the question.
        trusts: whether functions of the standard library that the other one names are called here.
    """

    def __init__(
        self, connection: socket.socket, serves: Mapping[str, Callable[..., Any]], *, trusts: bool = False
    ) -> None:
        self._connection, self._serves, self._trusts = connection, serves, trusts
        self._handles = Handles()
        self.is_lost = False

    def ask(self, what: str, *values: Any, **named: Any) -> Any:
        """Return the answer to a question; questions that come back meanwhile are answered.

        Raises:
            Gone: the other process has ended.
            UnreadableValue: an answer that is none.
            BaseException: whatever was raised there, marked with an attribute ``is_remote``.
        """
        writer = ValueWriter(self._handles, names_functions=not self._trusts)
        question = {"ask": what, **writer.message(values=list(values), named=named)}
        try:
            send(self._connection, question)
            while True:
                message = receive(self._connection)
                if not isinstance(message, dict) or "ask" not in message:
                    break
                self.answer(message)
            reader = Reader(message, self._handles, self._remote, writer, trusts=self._trusts)
            raised = reader.value("raised")
            if raised is None:
                return reader.value("value")
        except (Gone, UnreadableValue):
            self.is_lost = True
            raise
        if not isinstance(raised, BaseException):
            self.is_lost = True
            raise UnreadableValue("something is raised that is no exception")
        raised.is_remote = True  # type: ignore[attr-defined]
        raise raised

    def answer(self, message: Tree) -> None:
        """Answer a question.

        Raises:
            Gone: nobody waits for the answer.
        """
        known: list[Any] = []
        value = raised = None
        try:
            reader = Reader(message, self._handles, self._remote, trusts=self._trusts)
            values, named = reader.value("values"), reader.value("named")
            known = reader.objects
            serve = self._serves.get(message["ask"])
            if serve is None:
                raise UnreadableValue(f"the question {message['ask']:.40}")
            value = serve(*values, **named)
        except Gone:
            raise
        except BaseException as error:
            raised = error
        self._reply(known, value, raised)

    def _reply(self, known: list[Any], value: Any, raised: BaseException | None) -> None:
        writer = ValueWriter(self._handles, known, names_functions=not self._trusts)
        try:
            message = writer.message(value=value, raised=raised)
        except Gone:
            raise
        except BaseException as error:  # an object whose own methods fail
            writer = ValueWriter(self._handles, known, names_functions=not self._trusts)
            message = writer.message(value=None, raised=RuntimeError(f"{type(error).__name__}"))
        send(self._connection, message)

    def serve(self) -> None:
        """Answer questions until the other process has ended."""
        try:
            while True:
                self.answer(receive(self._connection))
        except (Gone, UnreadableValue):
            return

    def _remote(self, number: int, protocols: list[str]) -> Remote:
        return remote_class(tuple(sorted(protocols)))(self.ask, number)


@cache
def remote_class(protocols: tuple[str, ...]) -> type[Remote]:
    """Return the class of stand-ins for objects that take part in these of Python's protocols."""
    return type(
        "Remote", (_Object,), {_METHODS[name][0]: _METHODS[name][1] for name in protocols if name in _METHODS}
    )


def _asking(what: str, expected: type | tuple[type, ...] = object) -> Callable[..., Any]:
    def method(self: Remote, *values: Any, **named: Any) -> Any:
        found = object.__getattribute__(self, "_ask")(what, self, *values, **named)
        if not isinstance(found, expected):
            raise UnreadableValue(f"an answer to {what} of the type {type(found).__name__}")
        return found

    return method


def _comparing(name: str) -> Callable[[Remote, Any], Any]:
    ask = _asking("compare", bool)

    def method(self: Remote, other: Any) -> Any:
        # Whether it equals a plain value is not for the object to say.
        return ask(self, name, other) if isinstance(other, Remote) else NotImplemented

    return method


class _Object(Remote):
    """What all stand-ins can do."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return _asking("getattr")(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        _asking("setattr")(self, name, value)

    def __hash__(self) -> int:
        return hash(object.__getattribute__(self, "_number"))

    __bool__ = _asking("bool", bool)
    __str__ = _asking("str", str)
    __repr__ = _asking("repr", str)
    __eq__, __ne__, __lt__, __le__, __gt__, __ge__ = (
        _comparing(name) for name in ("eq", "ne", "lt", "le", "gt", "ge")
    )


_METHODS: dict[str, tuple[str, Callable[..., Any]]] = {
    "call": ("__call__", _asking("call")),
    "iter": ("__iter__", _asking("iter")),
    "next": ("__next__", _asking("next")),
    "len": ("__len__", _asking("len", int)),
    "getitem": ("__getitem__", _asking("getitem")),
    "class": ("__instancecheck__", _asking("isinstance", bool)),
}

Served = dict[str, Callable[..., Any]]
CALLS: Served = {
    "call": lambda target, *values, **named: target(*values, **named),
    "iter": iter,
    "next": next,
    "len": len,
}
"""What may be asked about an object of the tests: to use it, and not to look into it."""
EVERYTHING: Served = {
    **CALLS,
    "getattr": getattr,
    "setattr": setattr,
    "getitem": operator.getitem,
    "bool": bool,
    "str": lambda target: str(target)[:_MOST_TEXT],
    "repr": lambda target: repr(target)[:_MOST_TEXT],
    "compare": lambda target, name, other: bool(getattr(operator, name)(target, other)),
    "isinstance": lambda target, value: isinstance(value, target),
}
"""What may be asked about an object of the program."""


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        try:
            part = connection.recv(min(size, 2**20))
        except OSError as error:
            raise Gone(f"{error}") from None
        if not part:
            raise Gone("the channel is closed")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
