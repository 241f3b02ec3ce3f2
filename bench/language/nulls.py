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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

# Neither a digit nor a letter at its ends: no filter of templates changes it, and no text is a number for it.
MARK = "~_73_19_~"
_MARKED = re.compile(rf"""['"]?{re.escape(MARK)}['"]?""")
_WORDS = r"""['"]?(?:none|null|nan)['"]?"""
# In place of the letters of a null's word: what a template cuts out of the word is then known by them.
_LETTERS = "\ue073\ue019\ue074\ue018"
_CUT_FROM = {"None": _LETTERS, "nan": _LETTERS[:3]}
_WORD = re.compile("none|null|nan", re.IGNORECASE)
_DIGIT = re.compile("[0-9]")
_MISSING = object()
_NUMBERED = object()

Place = tuple[str | int, ...]
"""Keys and positions that lead to a value within a row."""


class _Nothing:
    """In place of a null, as a template sees it: false, equal to None, and a mark as text.

    Args:
        text: the mark.

    Attributes:
        is_written: whether its text was asked for.
    """

    def __init__(self, text: str = MARK) -> None:
        self._text, self.is_written = text, False

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, _Nothing)

    def __hash__(self) -> int:
        return hash(None)

    def __str__(self) -> str:
        self.is_written = True
        return self._text

    def __repr__(self) -> str:
        # Quoted, because some tasks write a list as text and read it again as Python.
        return repr(str(self))

    def __format__(self, form: str) -> str:
        return format(str(self), form)


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

    text, is_written = MARK, False

    def __str__(self) -> str:
        self.is_written = True
        return self.text

    __repr__ = __str__

    def __format__(self, form: str) -> str:
        return str(self)


class _Zero(int):
    """In place of a null: the number 0, which `default` takes for a value, so that it shows what a test for truth does."""


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
    return _cut(row, make, made, state)


def _cut(row: Mapping[str, Any], make: Callable[[Any], Any], made: Any, state: Any) -> Place | None:
    """Return the place of the first null of whose word a part is in what was made: ``(note|string)[:3]`` is "Non"."""
    places = list(nulls(row))
    marks = [_letters(_at(row, place)) for place in places]
    whole: Any = row
    for place, (_, mark) in zip(places, marks, strict=True):
        whole = _with(whole, place, mark)
    _tried(make, whole, state)  # whose word is asked for
    for place, (word, mark) in zip(places, marks, strict=True):
        if not mark.is_written:
            continue
        found = _tried(make, _with(row, place, _letters(_at(row, place))[1]), state)
        if found is not _MISSING and _same(made, found, partial(_same_cut, word)) is True:
            return place
    return None


def _letters(value: Any) -> tuple[str, Any]:
    """Return the word of a null, and what takes its place with a letter of its own for each of the word."""
    word = str(value) if value is None else "nan"
    if value is None:
        return word, _Nothing(_CUT_FROM[word])
    mark = _NoNumber("nan")
    mark.text = _CUT_FROM[word]
    return word, mark


def defaulted(
    row: Mapping[str, Any], make: Callable[[Any], Any], made: Any, state: Any = None
) -> Place | None:
    """Return the place of the first null in whose stead a test for truth put a number; arguments as above.

    ``label if label else 1`` tests for no null: the label 0 becomes 1 as well. A number is taken as it is, but for 0.
    """
    number = _number(made)
    for place in nulls(row) if number is not None else ():
        at_zero, at_one, at_two = (
            _number(_tried(make, _with(row, place, value), state)) for value in (_Zero(), 1, 2)
        )
        if at_zero != number or at_one is None or at_two is None or at_one == at_two:
            continue
        if at_zero != 2 * at_one - at_two:
            return place
    return None


def _number(made: Any) -> float | None:
    try:
        return None if isinstance(made, bool) or is_null(made) else float(made)
    except (TypeError, ValueError):
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
    for mark in (_Nothing() if _at(row, place) is None else _NoNumber("nan"), _NothingText(MARK)):
        yield _with(row, place, mark)


def _at(row: Any, place: Place) -> Any:
    for step in place:
        row = row[step]
    return row


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

    def default(value: Any, *given: Any, **named: Any) -> Any:
        return value if isinstance(value, _Zero) else filters["default"](value, *given, **named)

    env.filters |= {name: numbered(name) for name in ("int", "float")} | {"default": default, "d": default}
    try:
        yield
    finally:
        env.tests.update(tests)
        env.filters.update(filters)


def _same_text(made: str, marked: str) -> bool | None:
    if MARK not in marked:
        return None if made == marked else False
    pattern = _WORDS.join(re.escape(part) for part in _MARKED.split(marked))
    # A filter of a template may have changed the case of both.
    return re.fullmatch(pattern, made, re.IGNORECASE | re.DOTALL) is not None


def _same_cut(word: str, made: str, marked: str) -> bool | None:
    """Compare texts of which the marked one has letters that stand for those of a word."""
    if not any(letter in marked for letter in _LETTERS):
        return None if made == marked else False
    return marked.translate(str.maketrans(_CUT_FROM[word], word)).casefold() == made.casefold()


_SameText = Callable[[str, str], bool | None]


def _same(made: Any, marked: Any, same_text: _SameText = _same_text) -> bool | None:
    """Return True if two things are the same but for marks, None if they are the same without one, and else False."""
    if is_null(made):
        is_mark = isinstance(marked, _Nothing | _NothingText | _NoNumber) or marked in (MARK, repr(MARK))
        return True if is_mark else (None if is_null(marked) else False)
    if isinstance(made, str) and isinstance(marked, str):
        return same_text(made, marked)
    if isinstance(made, Mapping) and isinstance(marked, Mapping):
        pairs = [(made[key], marked[key]) for key in made] if made.keys() == marked.keys() else None
    elif isinstance(made, list | tuple) and isinstance(marked, list | tuple):
        pairs = list(zip(made, marked, strict=True)) if len(made) == len(marked) else None
    else:
        return None if type(made) is type(marked) and made == marked else False
    found = [False] if pairs is None else [_same(*pair, same_text) for pair in pairs]
    return False if False in found else (True if True in found else None)
