"""Settings of hooks and configurations as plain values that are equal for equal settings."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from bench.acceleration.methods import Parameters

# Six digits tell settings apart and are the same whatever the precision they were computed in.
_DIGITS = 6


def settings_of(thing: Any) -> Parameters:
    """Return the public settings of a configuration or hook: no functions, no modules, no state.

    Args:
        thing: a dataclass, a mapping, or any object, whose attributes count then.
    """
    given = thing if isinstance(thing, Mapping) else _fields(thing)
    return {
        str(name): plain(value)
        for name, value in given.items()
        if not str(name).startswith("_") and not str(name).endswith("_callback") and is_setting(value)
    }


def is_setting(value: Any) -> bool:
    """Whether a value is one that two pipelines can share: a number, a text, a dtype, or several of these."""
    if isinstance(value, list | tuple | set | frozenset):
        return all(is_setting(item) for item in value)
    if isinstance(value, Mapping):
        return all(is_setting(item) for item in value.values())
    if value is None or isinstance(value, bool | int | float | str | enum.Enum):
        return True
    if isinstance(value, type):
        return False
    return dataclasses.is_dataclass(value) or type(value).__name__ in ("dtype", "device", "Tensor")


def plain(value: Any) -> Any:
    """Return a setting as a plain value: tensors as numbers, enumerations by value, dtypes and devices by name."""
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Mapping) or dataclasses.is_dataclass(value):
        return settings_of(value)
    if hasattr(value, "tolist"):
        return _rounded(value.tolist())
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def held_by(function: Any) -> Parameters:
    """Return what a function of Python holds from around it, by name; nothing of any other thing."""
    found = _around(function)
    return {} if found is None else dict(found.nonlocals)


def used_by(function: Any) -> Parameters:
    """Return what a function of Python uses from around it, by name: what it holds, and what its module has."""
    found = _around(function)
    return {} if found is None else {**found.globals, **found.nonlocals}


def _around(function: Any) -> inspect.ClosureVars | None:
    function = getattr(function, "__func__", function)
    return inspect.getclosurevars(function) if inspect.isfunction(function) else None


def merged(found: Iterable[Parameters]) -> Parameters:
    """Return the settings of several modules as those of one method.

    A name has one value where it is the same everywhere; else ``by_module`` lists all settings that occur, each with the
    number of its modules.
    """
    distinct: list[tuple[Parameters, int]] = []
    for settings in found:
        index = next((i for i, (known, _) in enumerate(distinct) if known == settings), None)
        if index is None:
            distinct.append((settings, 1))
        else:
            distinct[index] = (settings, distinct[index][1] + 1)
    together: Parameters = {}
    for settings, _ in distinct:
        if any(together.get(name, value) != value for name, value in settings.items()):
            return {"by_module": [{**settings, "modules": count} for settings, count in distinct if settings]}
        together |= settings
    return together


def _fields(thing: Any) -> Mapping[str, Any]:
    if dataclasses.is_dataclass(thing):
        return {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
    return dict(vars(thing))


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, _DIGITS) if isinstance(value, float) else value
