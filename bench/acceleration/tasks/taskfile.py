"""The items of one task file: JSON, or JSON lines where the suffix is ``.jsonl``."""

from __future__ import annotations

import json
import stat
from collections import Counter
from pathlib import Path
from typing import Any

from bench.core.errors import TaskProblem
from bench.core.files import numbered_lines
from bench.core.record import Json

MAX_FILE_BYTES = 200_000_000


class RepeatingObject(Json):
    """A JSON object in which keys occur more than once, of which a JSON reader silently keeps the last."""

    repeated: tuple[str, ...] = ()


class Unreadable(str):
    """What is wrong with one line of a JSON lines file, in the place of its value."""


def read_items(file: Path) -> list[tuple[str, Any]]:
    """Return each item of a file with its place: ``entry [0]`` of a list, ``line 1`` of JSON lines.

    Raises:
        TaskProblem: the file cannot be read, is not UTF-8, not JSON, no list, or empty.
    """
    _check_file(file)
    items = _read_lines(file) if file.suffix.lower() == ".jsonl" else _read_list(file, _read_text(file))
    if not items:
        raise TaskProblem(f"{file} holds no entries; expected a list of at least one object; add the tasks")
    return items


def _check_file(file: Path) -> None:
    try:
        status = file.stat()
    except FileNotFoundError as error:
        raise TaskProblem(f"{file} does not exist; expected a JSON file; correct the path") from error
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise TaskProblem(f"{file} is a directory; expected a JSON file; name the file in it")
    # A pipe or a device would block or never end.
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
        raise TaskProblem(
            f"{file} is no regular file of at most {MAX_FILE_BYTES:,} bytes; expected a JSON file; correct the path"
        )


def _read_text(file: Path) -> str:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaskProblem(
            f"{file} is not UTF-8 (byte {error.object[error.start]:#04x} at offset {error.start}); expected JSON in "
            "UTF-8; save it in that encoding"
        ) from error
    except OSError as error:
        raise _unreadable(file, error) from error
    if not text.strip():
        raise TaskProblem(f"{file} is empty; expected a JSON list of objects; add the tasks")
    return text


def _unreadable(file: Path, error: Exception) -> TaskProblem:
    reason = getattr(error, "strerror", None) or error
    return TaskProblem(f"{file} cannot be read ({reason}); expected a JSON file; correct the path")


def _read_list(file: Path, text: str) -> list[tuple[str, Any]]:
    try:
        value = _decode(text)
    except ValueError as error:
        raise TaskProblem(
            f"{file} is not JSON ({error}); expected a JSON list of objects; correct it there"
        ) from error
    if not isinstance(value, list):
        raise TaskProblem(
            f"{file} holds {describe(value)}; expected a JSON list of objects; {_advice(value)}"
        )
    return [(f"entry [{index}]", item) for index, item in enumerate(value)]


def _advice(value: Any) -> str:
    held = value if isinstance(value, dict) else {}
    within = next((name for name, one in held.items() if isinstance(one, list)), None)
    if within is not None:
        return f"save the list in {within!r} by itself"
    if held and all(isinstance(one, dict) or str(one).endswith(".py") for one in held.values()):
        return 'it has entries by their ids: put them in [ ], and each id into its entry as "prompt_id"'
    return "put the entries in [ ]"


def _read_lines(file: Path) -> list[tuple[str, Any]]:
    items: list[tuple[str, Any]] = []
    for number, line in numbered_lines(file, TaskProblem):
        try:
            items.append((f"line {number}", _decode(line)))
        except ValueError as error:
            items.append((f"line {number}", Unreadable(error)))
    return items


def _decode(text: str) -> Any:
    """Parse JSON; a ValueError says where it stops being JSON."""
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _object(pairs: list[tuple[str, Any]]) -> Json:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    marked = RepeatingObject(made)
    marked.repeated = tuple(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    return marked


def describe(value: Any) -> str:
    """Return a value in words and as JSON, cut to what fits a message."""
    kinds = {dict: "an object", list: "a list", str: "the text", bool: "the boolean", type(None): "null"}
    kind = next((name for cls, name in kinds.items() if isinstance(value, cls)), "the number")
    if value is None:
        return kind
    shown = json.dumps(value, ensure_ascii=False)
    return f"{kind} {shown[:60]}{'...' if len(shown) > 60 else ''}"
