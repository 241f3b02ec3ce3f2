"""Named functions of one kind, registered where they are written; a name is taken once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

F = TypeVar("F", bound=Callable)


class Registry(Mapping[str, F]):
    """A mapping from names to functions, filled by a decorator.

    Args:
        what: what is registered, for messages: ``acceleration method``.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._functions: dict[str, F] = {}

    def register(self, name: str) -> Callable[[F], F]:
        """Return a decorator that registers a function under a name.

        Raises:
            ValueError: when the name is taken; the message names both places.
        """

        def decorate(function: F) -> F:
            taken = self._functions.get(name)
            if taken is not None:
                raise ValueError(
                    f"{self._what} {name!r} is registered twice: in {_place(taken)} and in {_place(function)}; rename one"
                )
            self._functions[name] = function
            return function

        return decorate

    def __getitem__(self, name: str) -> F:
        """Return the function of a name.

        Raises:
            KeyError: with the nearest names.
        """
        if name not in self._functions:
            raise KeyError(no_such(self._what, name, self._functions))
        return self._functions[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in the order of registration."""
        return iter(self._functions)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._functions)


def no_such(what: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence that nothing has a name, with the names nearest to it."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
    return f"no {what} is named {name!r}; nearest: {', '.join(near) or 'none'}"


def _place(function: Callable) -> str:
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)
