"""Says what users' code raised, and in which line of theirs."""

from __future__ import annotations

import os
import sysconfig
from functools import cache
from pathlib import Path
from types import TracebackType

_SUITE = str(Path(__file__).parents[1])


def told(error: BaseException, folder: Path | None = None) -> str:
    """Return what an exception says, and the innermost line of a user's file that it came through.

    Args:
        error: that users' code raised.
        folder: of their files; None is every file that is neither the suite's nor an installed package's.

    Example:
        >>> told(ValueError("no rows"))
        'ValueError: no rows'
    """
    # As a text, a syntax error names its line again.
    said = error.msg if isinstance(error, SyntaxError) and error.filename else str(error)
    kind = type(error).__name__
    place = line_of(error, folder)
    return f"{kind}: {said}{place}" if said else f"{kind}{place}"


def told_in_one_line(error: BaseException, most: int) -> str:
    """Return what `told` says of an exception of any length, in one line of so many characters at most.

    Example:
        >>> told_in_one_line(ValueError("no rows,\\n  none"), 23)
        'ValueError: no rows, no'
    """
    return " ".join(told(error).split())[:most]


def line_of(error: BaseException, folder: Path | None = None) -> str:
    """Return `` (my_tasks/a.py, line 3)``, the line for `told`; empty text for an exception that no such file raised."""
    lines = [
        (file, number) for file, number in _lines(error.__traceback__) if number and _is_theirs(file, folder)
    ]
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<"):
        lines.append((error.filename, error.lineno or 1))
    return f" ({_named(Path(lines[-1][0]), folder)}, line {lines[-1][1]})" if lines else ""


def _lines(trace: TracebackType | None) -> list[tuple[str, int]]:
    found = []
    while trace is not None:
        found.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    return found


def _is_theirs(file: str, folder: Path | None) -> bool:
    if file.startswith("<"):
        return False
    if folder is not None:
        return Path(file).is_relative_to(folder)
    return not file.startswith(_not_theirs())


@cache
def _not_theirs() -> tuple[str, ...]:
    """Return the folders of the suite and of what is installed, each with a separator behind it."""
    installed = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    return tuple(root + os.sep for root in (_SUITE, *installed))


def _named(file: Path, folder: Path | None) -> str:
    for root in (None if folder is None else folder.parent, Path.cwd()):
        if root is not None and file.is_relative_to(root):
            return str(file.relative_to(root))
    return str(file)
