"""Whether a null of a row reached a text: it is replaced by a mark, and the mark is looked for where the null was read.

A template or a function may well test a null (``{% if note %}``, ``note is none``), so neither a row with nulls nor a text
with the word "None" says anything alone. What is made of the row with a mark in place of one null must be what was made of
the row itself, but for the mark, which stands where the null's own word stood.
"""

from __future__ import annotations

import math
import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

# Neither a digit nor a letter at its ends: no filter of templates changes it, and no text is a number for it.
MARK = "~_73_19_~"
_MARKED = re.compile(rf"""['"]?{re.escape(MARK)}['"]?""")
_WORDS = r"""['"]?(?:none|null|nan)['"]?"""
_WORD = re.compile("none|null|nan", re.IGNORECASE)
_DIGIT = re.compile("[0-9]")
_MISSING = object()
_NUMBERED = object()

Place = tuple[str | int, ...]
"""Keys and positions that lead to a value within a row."""


class _Nothing:
    """In place of a null, as a template sees it: false, equal to None, and a mark as text."""

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, _Nothing)

    def __hash__(self) -> int:
        return hash(None)

    def __str__(self) -> str:
        return MARK

    def __repr__(self) -> str:
        # Quoted, because some tasks write a list as text and read it again as Python.
        return repr(MARK)

    def __format__(self, form: str) -> str:
        return format(MARK, form)


class _NothingText(str):
    """In place of a null, for code that takes nothing but texts."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return other is None or str.__eq__(self, other) is True

    def __hash__(self) -> int:
        return hash(None)

    def __str__(self) -> str:
        return MARK


class _NumberOfNothing(Exception):
    """A filter of a template makes the number 0 of a null."""


class _NoNumber(float):
    """In place of a NaN: still one, and a mark as text."""

    def __str__(self) -> str:
        return MARK

    __repr__ = __str__

    def __format__(self, form: str) -> str:
        return MARK


def is_null(value: Any) -> bool:
    """Whether a value is none: null, or a number that is not one, as files of tables hold it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def nulls(value: Any, place: Place = ()) -> Iterator[Place]:
    """Yield where a row has nulls, lists and objects within it included."""
    if is_null(value):
        yield place
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from nulls(item, (*place, name))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from nulls(item, (*place, number))


def field_of(place: Place) -> str:
    """Return how a message names a place within a row."""
    return str(place[0]) + "".join(f"[{one}]" for one in place[1:])


def may_hold(made: Any) -> bool:
    """Whether something that was made of a row has a null, or a word that a null may have become."""
    return _some(made, lambda one: _WORD.search(one) is not None if isinstance(one, str) else is_null(one))


def _may_count(made: Any) -> bool:
    """Whether something that was made of a row has a number, which a filter may have made of a null."""
    return _some(
        made,
        lambda one: _DIGIT.search(one) is not None if isinstance(one, str) else isinstance(one, int | float),
    )


def _some(made: Any, holds: Callable[[Any], bool]) -> bool:
    """Whether something holds for a value, or for one within it."""
    if isinstance(made, Mapping):
        return any(_some(one, holds) for one in made.values())
    if isinstance(made, list | tuple):
        return any(_some(one, holds) for one in made)
    return holds(made)


def reached(row: Mapping[str, Any], make: Callable[[Any], Any], made: Any, state: Any = None) -> Place | None:
    """Return the place of the first null of a row that is in what was made of it; None if there is none.

    Args:
        row: that something was made of.
        make: makes it; whatever it raises for a marked row says nothing.
        made: of the row as it is.
        state: of the generators when it was made; None leaves them as they are now.
    """
    for place in nulls(row) if may_hold(made) or _may_count(made) else ():
        for marked in _marked(row, place):
            found = _tried(make, marked, state)
            if found is _NUMBERED or (found is not _MISSING and _same(made, found) is True):
                return place
    return None


def culprit(row: Mapping[str, Any], make: Callable[[Any], Any], state: Any = None) -> Place | None:
    """Return the place of the first null of a row without which something could be made of it; arguments as above."""
    places = list(nulls(row))
    for place in places:
        if any(_tried(make, marked, state) is not _MISSING for marked in _marked(row, place)):
            return place
    for number in range(2 if len(places) > 1 else 0):
        whole: Any = row
        for place in places:
            whole = list(_marked(whole, place))[-1 if number else 0]
        if _tried(make, whole, state) is not _MISSING:
            return places[0]
    return None


def generators() -> Any:
    """Return the state of the random generators that tasks use; numpy's only where something imported it."""
    numpy = sys.modules.get("numpy")
    return random.getstate(), None if numpy is None else numpy.random.get_state()


@contextmanager
def begun_at(state: Any) -> Iterator[None]:
    """Begin at a state of the generators, and leave them as they were."""
    before = generators()
    try:
        if state is not None:
            _set(state)
        yield
    finally:
        _set(before)


def _set(state: Any) -> None:
    random.setstate(state[0])
    if state[1] is not None:
        sys.modules["numpy"].random.set_state(state[1])


def _marked(row: Any, place: Place) -> Iterator[Any]:
    """Yield the row with a mark at a place, in each form that code may take for the null."""
    value = row
    for step in place:
        value = value[step]
    for mark in (_Nothing() if value is None else _NoNumber("nan"), _NothingText(MARK)):
        yield _with(row, place, mark)


def _with(value: Any, place: Place, mark: Any) -> Any:
    if not place:
        return mark
    first, *rest = place
    if isinstance(value, Mapping):
        return {**value, first: _with(value[first], tuple(rest), mark)}
    items = [_with(one, tuple(rest), mark) if i == first else one for i, one in enumerate(value)]
    return items if isinstance(value, list) else tuple(items)


def _tried(make: Callable[[Any], Any], row: Any, state: Any) -> Any:
    with begun_at(state), _nothing_is_none():
        try:
            return make(row)
        except _NumberOfNothing:
            return _NUMBERED
        except Exception:  # whatever the task's own code raises for a marked row
            return _MISSING


@contextmanager
def _nothing_is_none() -> Iterator[None]:
    """Let the templates of lm-evaluation-harness, where that is imported, find that a mark is none, and no number."""
    harness = sys.modules.get("lm_eval.utils")
    if harness is None:
        yield
        return
    env: Any = harness.env
    tests, filters = dict(env.tests), dict(env.filters)

    def is_none(value: Any) -> bool:
        return value is None or isinstance(value, _Nothing | _NothingText)

    env.tests |= {
        "none": is_none,
        "sameas": lambda value, other: is_none(value) if other is None else value is other,
        "string": lambda value: isinstance(value, str) and not is_none(value),
    }

    def numbered(name: str) -> Callable[..., Any]:
        def number(value: Any, *default: Any, **named: Any) -> Any:
            # A template that gives a default of its own has thought of a null.
            is_mark = is_none(value) or isinstance(value, _NoNumber)
            if is_mark and not default and "default" not in named:
                raise _NumberOfNothing
            return filters[name](value, *default, **named)

        return number

    env.filters |= {name: numbered(name) for name in ("int", "float")}
    try:
        yield
    finally:
        env.tests.update(tests)
        env.filters.update(filters)


def _same(made: Any, marked: Any) -> bool | None:
    """Return True if two things are the same but for marks, None if they are the same without one, and else False."""
    if is_null(made):
        is_mark = isinstance(marked, _Nothing | _NothingText | _NoNumber) or marked in (MARK, repr(MARK))
        return True if is_mark else (None if is_null(marked) else False)
    if isinstance(made, str) and isinstance(marked, str):
        if MARK not in marked:
            return None if made == marked else False
        pattern = _WORDS.join(re.escape(part) for part in _MARKED.split(marked))
        # A filter of a template may have changed the case of both.
        return re.fullmatch(pattern, made, re.IGNORECASE | re.DOTALL) is not None
    if isinstance(made, Mapping) and isinstance(marked, Mapping):
        return made.keys() == marked.keys() and _all_same([(made[key], marked[key]) for key in made])
    if isinstance(made, list | tuple) and isinstance(marked, list | tuple):
        return len(made) == len(marked) and _all_same(list(zip(made, marked, strict=True)))
    return None if type(made) is type(marked) and made == marked else False


def _all_same(pairs: Sequence[tuple[Any, Any]]) -> bool | None:
    found = [_same(*pair) for pair in pairs]
    return False if False in found else (True if True in found else None)
