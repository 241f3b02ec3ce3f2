"""Settings given as ``KEY=VALUE``, checked against the fields of a dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from bench.core.registry import no_such

Arguments = dict[str, Any]
_TRUTHS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def checked(made: Any, values: Mapping[str, Any], what: str) -> Arguments:
    """Return values for the fields of a dataclass, texts turned into the fields' types.

    Args:
        made: the dataclass.
        values: by field; a text is parsed, anything else must have the field's type already.
        what: for messages, such as ``argument of model wide``.

    Raises:
        ValueError: a name that is no field, with the nearest names; a value that is not of the field's type.
    """
    if not (isinstance(made, type) and is_dataclass(made)):
        raise ValueError(
            f"found {made!r}, expected a dataclass whose fields are the arguments ({what}); decorate the class with "
            "@dataclass"
        )
    hints, names = get_type_hints(made), [field.name for field in fields(made) if field.init]
    found = {}
    for name, value in values.items():
        if name not in names:
            raise ValueError(f"{no_such(what, name, names)}; there are {', '.join(names) or 'none'}")
        found[name] = _converted(value, hints[name], f"{what}: {name}={value}")
    return found


def missing_arguments(made: Any, arguments: Mapping[str, Any]) -> list[str]:
    """Return the fields of a dataclass that have no default and no value."""
    return [
        field.name
        for field in fields(made)
        if field.init
        and field.default is MISSING
        and field.default_factory is MISSING
        and field.name not in arguments
    ]


def _converted(value: Any, kind: Any, shown: str) -> Any:
    choices = get_args(kind)
    if get_origin(kind) is Literal:
        return _one_of(value, choices, shown)
    if get_origin(kind) in (Union, UnionType):
        return _of_union(value, choices, shown)
    if kind is bool:
        if isinstance(value, str) and value.lower() in _TRUTHS:
            return _TRUTHS[value.lower()]
    elif kind in (int, float) and not isinstance(value, bool):
        try:
            number = kind(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if isinstance(number, int | float) and (kind is float or isinstance(number, int)):
            return kind(number)
    if kind in (str, bool) and isinstance(value, kind):
        return value
    if kind not in (str, bool, int, float):
        if not isinstance(value, str):
            return value  # written in Python, where its author knows what it is for
        raise ValueError(f"{shown}: its type {_name(kind)} cannot be given as text; set it in the task")
    raise ValueError(f"{shown}: found {value!r}, expected {_name(kind)}")


def _of_union(value: Any, choices: tuple[Any, ...], shown: str) -> Any:
    if NoneType in choices and (value is None or (isinstance(value, str) and value.lower() == "none")):
        return None
    for kind in choices:
        if kind is not NoneType:
            try:
                return _converted(value, kind, shown)
            except ValueError:
                continue
    raise ValueError(f"{shown}: found {value!r}, expected {' or '.join(_name(kind) for kind in choices)}")


def _one_of(value: Any, choices: tuple[Any, ...], shown: str) -> Any:
    for choice in choices:
        if value == choice or (isinstance(value, str) and value == str(choice)):
            return choice
    raise ValueError(f"{shown}: found {value!r}, expected one of {', '.join(map(str, choices))}")


def _name(kind: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", NoneType: "none"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))
