"""Null cells of rows: refused where they are used, so that no prompt ever holds the word "None"."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bench.language.nulls import is_null
from bench.language.spec import Row


class NullCell(ValueError):
    """A cell without a value that a prompt, a choice or an answer needs.

    Args:
        field: that it belongs to.
    """

    def __init__(self, field: str) -> None:
        super().__init__(
            f"found no value (null) in the field {field!r}, expected one; fill the cell, leave the row out, or declare "
            f"optional=({field!r},) in the dataset's file, which reads it as an empty text"
        )


class Cells(dict[str, Any]):
    """The cells of a row, for a function of a dataset file: reading a null raises; copying it does not.

    Lists and objects within the row are guarded in the same way.
    """

    def __getitem__(self, name: str) -> Any:
        """Return the cell of a field.

        Raises:
            NullCell: it has no value.
        """
        return _guarded(super().__getitem__(name), str(name))

    def get(self, name: str, default: Any = None) -> Any:
        """Return the cell of a field, or the default where the row has no such field.

        Raises:
            NullCell: it has no value.
        """
        return self[name] if name in self else default  # noqa: SIM401  this is what `get` is


class _Items(list[Any]):
    """A list within a row."""

    def __init__(self, items: Iterable[Any], field: str) -> None:
        super().__init__(items)
        self._field = field

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return found if isinstance(place, slice) else _guarded(found, f"{self._field}[{place}]")

    def __iter__(self) -> Iterator[Any]:
        for place, item in enumerate(super().__iter__()):
            yield _guarded(item, f"{self._field}[{place}]")


def _guarded(value: Any, field: str) -> Any:
    if is_null(value):
        raise NullCell(field)
    if isinstance(value, dict):
        return Cells(value)
    return _Items(value, field) if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """Return a value without the guards of what is in it."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, _Items):
        return [plain(item) for item in list.__iter__(value)]
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return value


def with_empty(row: Row, optional: Sequence[str]) -> Row:
    """Return the row with an empty text where one of the optional fields is null or absent."""
    empty = {name: "" for name in optional if is_null(row.get(name))}
    return {**row, **empty} if empty else row


class _Templates(string.Formatter):
    """``str.format`` that takes no null."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        found, used = super().get_field(field_name, args, kwargs)
        _refuse_null(found, field_name)
        return found, used


def fill(template: str, fields: Mapping[str, Any]) -> str:
    """Return a template filled from the fields of a row.

    Raises:
        NullCell: a field of the template without a value, or with a list that holds one.
        KeyError, IndexError, AttributeError: a field that the row does not have.
    """
    return _Templates().vformat(template, (), fields)


def _refuse_null(value: Any, field: str) -> None:
    if is_null(value):
        raise NullCell(field)
    if isinstance(value, Mapping):
        for name, item in value.items():
            _refuse_null(item, f"{field}[{name}]")
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            _refuse_null(item, f"{field}[{place}]")
