"""Writes the tables of docs/options.md from the dataclasses of options: ``python docs/make_options.py``.

What stands above the mark in the page is written by hand and stays.

``tests/docs/test_pages.py`` holds the page equal to the code.
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.core.options import Option, Place  # noqa: E402
from bench.kinds import KINDS  # noqa: E402
from bench.run.options import OF_THE_RUN, RunOptions, flags_of, ini_of  # noqa: E402

PAGE = ROOT / "docs" / "options.md"
MARK = "<!-- Written by `python docs/make_options.py` from here on. -->"
SHARED = "Options of the run, and options that kinds share. The last column says which kinds use them."
WORDS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "yes or no",
    Path: "path",
    Place: "path or name",
}


def page() -> str:
    """Return the page."""
    head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    parts = [f"{head}{MARK}\n", "## Every kind\n", f"{SHARED}\n", _table(RunOptions, shared=True)]
    for kind in KINDS.values():
        parts += [f"## {kind.name.capitalize()}\n", f"Kind: `{kind.name}`.\n", _table(kind.options)]
    return "\n".join(parts)


def _users(name: str) -> str:
    if name in OF_THE_RUN:
        return "every run"
    return ", ".join(kind.name for kind in KINDS.values() if name in kind.shared)


def _table(options: type, *, shared: bool = False) -> str:
    hints = typing.get_type_hints(options)
    header = ("option", "type", "default", "ini name", "meaning", *(("kinds",) if shared else ()))
    rows: list[tuple[str, ...]] = [header, tuple("---" for _ in header)]
    for field in dataclasses.fields(options):
        users = (_users(field.name),) if shared else ()
        rows.append((*_row(field, hints[field.name]), *users))
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows)


def _row(field: dataclasses.Field[Any], hint: Any) -> tuple[str, ...]:
    declared: Option = field.metadata["option"]
    flags, ini = flags_of(field), ini_of(field)
    value = "" if hint is bool else f" {declared.metavar or '/'.join(declared.choices) or field.name.upper()}"
    shown = ", ".join(f"`{flag}{value}`" for flag in flags) or "in an ini file only"
    return (
        shown,
        _type(hint, declared),
        _default(field),
        f"`{ini}`" if ini else "-",
        declared.help.replace("%%", "%"),
    )


def _type(hint: Any, declared: Option) -> str:
    if get_origin(hint) in (typing.Union, UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is tuple:
        words = f"several: {WORDS[get_args(hint)[0]]}"
    elif get_origin(hint) is dict:
        words = f"several: name=value, {WORDS[get_args(hint)[1]]}"
    elif get_origin(hint) is typing.Literal:
        words = "text"
    else:
        words = WORDS[hint]
    if declared.choices:
        words += f", one of {', '.join(declared.choices)}"
    if declared.least is not None:
        words += f", at least {declared.least:g}"
    if declared.above is not None:
        words += f", above {declared.above:g}"
    return words


def _default(field: dataclasses.Field[Any]) -> str:
    default = field.default
    if default is dataclasses.MISSING or default is None or default == ():
        return "-"
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, tuple):
        return f"`{','.join(map(str, default))}`"
    return f"`{default}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
