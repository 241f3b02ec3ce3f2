"""Values between a program and its tests, which run in two processes: what arrives is data, and never code.

A message is a tree of JSON. Mutable objects and containers stand in a list of nodes, so that what is shared or cyclic
arrives shared or cyclic. An object that is no data stays where it is; a number stands for it. What the reader builds is of
Python's own types, whatever the writer says: an object that calls itself equal to everything arrives as a plain value, or as
a `Remote`, which equals no plain value.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
from collections.abc import Callable, Iterator
from typing import Any

from bench.machine.programs.objects import (
    Handles,
    Remote,
    UnreadableValue,
    exception_parts,
    is_harmless,
    library_object,
    made_exception,
    protocols,
    reference_of,
)

Tree = Any
"""What JSON can hold."""
_SMALL = 2**53
_MUTABLE = (
    list,
    dict,
    set,
    bytearray,
    collections.deque,
    collections.Counter,
    collections.OrderedDict,
    collections.defaultdict,
)
_FROZEN = (tuple, frozenset)
_CONTAINERS = {kind.__name__: kind for kind in (*_MUTABLE, *_FROZEN)}
# Classes of the standard library whose instances are what they are made of.
_MADE_OF: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    decimal.Decimal: lambda value: (str(value),),
    fractions.Fraction: lambda value: (value.numerator, value.denominator),
    datetime.date: lambda value: (value.year, value.month, value.day),
    datetime.datetime: lambda value: (*value.timetuple()[:6], value.microsecond),
    datetime.time: lambda value: (value.hour, value.minute, value.second, value.microsecond),
    datetime.timedelta: lambda value: (value.days, value.seconds, value.microseconds),
    range: lambda value: (value.start, value.stop, value.step),
    slice: lambda value: (value.start, value.stop, value.step),
}
_PLAIN: dict[type, Callable[[Any], Tree]] = {
    int: lambda value: value if -_SMALL < value < _SMALL else ["int", hex(value)],
    float: lambda value: ["float", value.hex()],
    complex: lambda value: ["complex", value.real.hex(), value.imag.hex()],
    bytes: lambda value: ["bytes", value.hex()],
}
_MAKERS = {kind.__name__: kind for kind in _MADE_OF}
_SINGLE = {"Ellipsis": Ellipsis, "NotImplemented": NotImplemented}
_MALFORMED = (
    KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError, ArithmeticError, RecursionError,
)  # fmt: skip


class ValueWriter:
    """Writes values as a tree.

    Args:
        handles: takes the objects that stay here.
        known: the nodes that the reader has already, in the order of their numbers.
        names_functions: whether functions of the standard library may be written by name, so that the reader runs its own.
    """

    def __init__(
        self, handles: Handles, known: list[Any] | None = None, *, names_functions: bool = False
    ) -> None:
        self._handles, self._names_functions = handles, names_functions
        self.objects: list[Any] = list(known or ())
        self._places = {id(value): place for place, value in enumerate(self.objects)}
        self.nodes: list[Tree] = []

    def message(self, **parts: Any) -> Tree:
        """Return a message with these values, and the nodes of all of them."""
        found = {name: self.tree(value) for name, value in parts.items()}
        # Nodes are filled one after the other, which keeps long chains from being deep calls.
        while len(self.nodes) < len(self.objects):
            self.nodes.append(self._node(self.objects[len(self.nodes)]))
        return {**found, "nodes": self.nodes}

    def tree(self, value: Any) -> Tree:
        """Return a value, or the place of its node."""
        kind = type(value)
        if value is None or kind in (bool, str):
            return value
        if kind in _PLAIN:
            return _PLAIN[kind](value)
        if kind in _CONTAINERS.values():
            return self._place(value)
        if kind in _MADE_OF and getattr(value, "tzinfo", None) is None:
            return ["made", kind.__name__, [self.tree(part) for part in _MADE_OF[kind](value)]]
        return self._other(value)

    def _other(self, value: Any) -> Tree:
        """Return what is of no plain type: by its name, as what it is made of, or as an object that stays here."""
        if isinstance(value, Remote):
            return ["yours", object.__getattribute__(value, "_number")]
        single = next((name for name, one in _SINGLE.items() if value is one), None)
        if single is not None:
            return ["single", single]
        reference = reference_of(value)
        if reference is not None and (self._names_functions or is_harmless(value, *reference)):
            return ["library", *reference]
        if isinstance(value, BaseException):
            return ["exception", *exception_parts(value)]
        plain = self._as_plain(value)
        return ["mine", self._handles.number(value), protocols(value)] if plain is None else plain

    def _as_plain(self, value: Any) -> Tree:
        """Return an object of a class below one of Python's own as one of that; None for others."""
        base = _plain_base(value)
        if base is not None:
            return self.tree(base)
        fields = getattr(type(value), "_fields", None)
        if isinstance(value, tuple) and isinstance(fields, tuple):
            return [
                "named",
                type(value).__name__,
                list(map(str, fields)),
                self._place(tuple(tuple.__iter__(value))),
            ]
        kind = next((kind for kind in (*_MUTABLE[::-1], *_FROZEN) if isinstance(value, kind)), None)
        return None if kind is None else self._place(_copied(kind, value))

    def _place(self, value: Any) -> Tree:
        place = self._places.get(id(value))
        if place is None:
            place = self._places[id(value)] = len(self.objects)
            self.objects.append(value)
        return ["node", place]

    def _node(self, value: Any) -> Tree:
        kind = type(value)
        if kind is bytearray:
            return ["bytearray", value.hex()]
        if isinstance(value, dict):
            return [kind.__name__, [[self.tree(key), self.tree(one)] for key, one in dict.items(value)]]
        return [kind.__name__, [self.tree(one) for one in value]]


class Reader:
    """Builds values of a message.

    Args:
        message: as `ValueWriter.message` returns it.
        handles: the objects that stayed here.
        remote: makes the stand-in of an object of the other process, from its number and its protocols.
        sent: what was asked, if this is the answer: what has changed of its mutable objects is changed in place.
        trusts: whether the writer may name functions of the standard library, to be called here.

    Raises:
        UnreadableValue: a message that no honest writer writes.
    """

    def __init__(
        self, message: Tree, handles: Handles, remote: Callable[[int, list[str]], Any], sent: ValueWriter | None = None,
        *, trusts: bool = False,
    ) -> None:  # fmt: skip
        self._message, self._handles, self._remote, self._trusts = message, handles, remote, trusts
        nodes = message.get("nodes") if isinstance(message, dict) else None
        if not isinstance(nodes, list):
            raise UnreadableValue("no nodes")
        self._nodes: list[Tree] = nodes
        self._built: dict[int, Any] = {} if sent is None else dict(enumerate(sent.objects))
        if sent is not None:
            self._guarded(lambda: self._update(sent.objects, sent.nodes))

    @property
    def objects(self) -> list[Any]:
        """All nodes, in the order of their numbers."""
        return [self._at(place) for place in range(len(self._nodes))]

    def value(self, name: str) -> Any:
        """Return a value of the message by its name."""
        return self._guarded(lambda: self._value(self._message[name]))

    def _guarded(self, build: Callable[[], Any]) -> Any:
        try:
            return build()
        except _MALFORMED as error:
            raise UnreadableValue(f"{type(error).__name__}: {error}") from None

    def _update(self, known: list[Any], before: list[Tree]) -> None:
        if len(self._nodes) < len(known):
            raise UnreadableValue("too few nodes")
        for place, value in enumerate(known):
            if not isinstance(value, _MUTABLE) or self._nodes[place] == before[place]:
                continue
            kind, parts = self._parts(place)
            if kind is not type(value):
                raise UnreadableValue("a node of another type")
            value.clear()
            self._fill(value, parts)

    def _value(self, tree: Tree) -> Any:
        if tree is None or isinstance(tree, bool | str | int):
            return tree
        if not isinstance(tree, list) or not tree or not isinstance(tree[0], str):
            raise UnreadableValue("no value")
        build = _BUILDERS.get(tree[0])
        if build is None:
            raise UnreadableValue(f"a value of the form {tree[0]:.40}")
        return build(self, *tree[1:])

    def _at(self, place: Any) -> Any:
        if not isinstance(place, int) or not 0 <= place < len(self._nodes):
            raise UnreadableValue("a node that is not there")
        if place not in self._built:
            kind, parts = self._parts(place)
            if kind in _FROZEN:
                self._built[place] = kind(self._value(part) for part in parts)
            else:
                self._built[place] = value = kind()
                self._fill(value, parts)
        return self._built[place]

    def _parts(self, place: int) -> tuple[Any, Any]:
        name, parts = self._nodes[place]
        return _CONTAINERS[name], bytes.fromhex(parts) if name == "bytearray" else list(parts)

    def _fill(self, value: Any, parts: Any) -> None:
        if isinstance(value, dict):
            for key, one in parts:
                dict.__setitem__(value, self._value(key), self._value(one))
        elif isinstance(value, bytearray):
            value += parts
        elif isinstance(value, set):
            value.update([self._value(part) for part in parts])
        else:
            value.extend([self._value(part) for part in parts])

    def _library(self, module: str, name: str) -> Any:
        found = library_object(module, name)
        if found is None or not (self._trusts or is_harmless(found, module, name)):
            raise UnreadableValue(f"{module}.{name} is nothing of the standard library")
        return found

    def _named(self, name: str, fields: list[str], values: Tree) -> Any:
        parts = self._value(values)
        return collections.namedtuple(name, [str(one) for one in fields])(*parts)

    def _made(self, name: str, parts: list[Tree]) -> Any:
        return _MAKERS[name](*[self._value(part) for part in parts])

    def _exception(self, name: str, own: str, parts: list[Tree]) -> BaseException:
        return made_exception(name, own, [self._value(part) for part in parts])


_BUILDERS: dict[str, Callable[..., Any]] = {
    "int": lambda reader, text: int(text, 16),
    "float": lambda reader, text: float.fromhex(text),
    "complex": lambda reader, real, imaginary: complex(float.fromhex(real), float.fromhex(imaginary)),
    "bytes": lambda reader, text: bytes.fromhex(text),
    "single": lambda reader, name: _SINGLE[name],
    "node": lambda reader, place: reader._at(place),
    "yours": lambda reader, number: reader._handles[number],
    "mine": lambda reader, number, found: reader._remote(int(number), [str(one) for one in found]),
    "library": Reader._library,
    "named": Reader._named,
    "made": Reader._made,
    "exception": Reader._exception,
}


def _plain_base(value: Any) -> Any:
    """Return an instance of a class below Python's own as one of Python's own; None for all others."""
    if isinstance(value, int):
        return int.__add__(value, 0)
    if isinstance(value, float):
        return float.__pos__(value)
    if isinstance(value, str):
        return str.__add__(value, "")
    if isinstance(value, bytes):
        return bytes.__add__(value, b"")
    if isinstance(value, complex):
        return complex.__add__(value, 0)
    return None


def _copied(kind: Any, value: Any) -> Any:
    if issubclass(kind, dict):
        made = kind()
        for key, one in dict.items(value):
            dict.__setitem__(made, key, one)
        return made
    iterate: Callable[[Any], Iterator[Any]] = kind.__iter__
    return kind(iterate(value))
