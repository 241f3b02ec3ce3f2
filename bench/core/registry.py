"""Things by name, registered where they are written; a name is taken once, and its place is known."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Generic, TypeVar

T = TypeVar("T")
F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was registered."""

    file: str
    line: int

    def __str__(self) -> str:
        """Return ``file:line``."""
        return f"{self.file}:{self.line}"

    def is_below(self, folders: Iterable[Path]) -> bool:
        """Whether it is in one of these folders."""
        here = Path(self.file).resolve()
        return any(here.is_relative_to(folder.resolve()) for folder in folders)


class Registry(Mapping[str, T], Generic[T]):
    """A mapping from names to things of one sort, such as metrics.

    Args:
        what: what is registered, for messages: ``image metric``.
        hint: what to do where a name is unknown, for the same messages.

    Example:
        >>> greetings = Registry("greeting")
        >>> greetings.add("short", "hi")
        'hi'
        >>> greetings["shrot"]
        Traceback (most recent call last):
        KeyError: "no greeting is named 'shrot'; nearest: short"
    """

    def __init__(self, what: str, hint: str = "") -> None:
        self.what, self._hint = what, hint
        self._things: dict[str, T] = {}
        self._places: dict[str, Place] = {}

    def register(self, name: str) -> Callable[[F], F]:
        """Return a decorator that registers what it decorates under a name.

        Raises:
            ValueError: when the name is taken; the message names both places.
        """
        caller = sys._getframe(1)

        def decorate(thing: F) -> F:
            self.add(name, thing, place=_place(caller))  # type: ignore[arg-type]  # F is a T: a function stays typed
            return thing

        return decorate

    def add(self, name: str, thing: T, *, place: Place | None = None) -> T:
        """Register a thing under a name and return it.

        Args:
            name: of the thing.
            thing: what is registered.
            place: where it is written; left out, where this is called.

        Raises:
            ValueError: when the name is taken; the message names both places.
        """
        place = place or _place(sys._getframe(1))
        if name in self._things:
            raise ValueError(
                f"{self.what} {name!r} is registered twice: in {self._places[name]} and in {place}; rename one"
            )
        self._things[name], self._places[name] = thing, place
        return thing

    def place(self, name: str) -> Place:
        """Return where a name was registered; raises KeyError like indexing."""
        self[name]
        return self._places[name]

    def inputs(self, name: str) -> list[Path]:
        """Return what a thing is known to depend on: its file, and the paths among the names of that file's module.

        A name that nobody registered depends on nothing.
        """
        if name not in self._places:
            return []
        file = self._places[name].file
        module = next((m for m in list(sys.modules.values()) if getattr(m, "__file__", None) == file), None)
        paths = (
            [value for value in vars(module).values() if isinstance(value, Path)]
            if module is not None
            else []
        )
        return [Path(file), *paths]

    def below(self, folders: Iterable[Path]) -> list[str]:
        """Return the names that files of these folders registered, in the order of registration."""
        folders = list(folders)
        return [name for name, place in self._places.items() if place.is_below(folders)]

    def unknown(self, name: str) -> str:
        """Return the sentence that nothing has this name, with the nearest names and what to do."""
        return no_such(self.what, name, self._things) + (f"; {self._hint}" if self._hint else "")

    def __getitem__(self, name: str) -> T:
        """Return the thing of a name.

        Raises:
            KeyError: with the nearest names.
        """
        if name not in self._things:
            raise KeyError(self.unknown(name))
        return self._things[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in the order of registration."""
        return iter(self._things)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._things)


def caller_place(depth: int = 1) -> Place:
    """Return where the caller's caller stands, for decorators that wrap :meth:`Registry.add`."""
    return _place(sys._getframe(depth + 1))


def no_such(what: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence that nothing has a name, with the names nearest to it."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
    return f"no {what} is named {name!r}; nearest: {', '.join(near) or 'none'}"


def _place(frame: FrameType) -> Place:
    return Place(frame.f_code.co_filename, frame.f_lineno)
