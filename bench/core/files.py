"""Files that several rooms read and write: JSON lines, and replacing a file as a whole."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def numbered_lines(path: Path, problem: Callable[[str], Exception] = ValueError) -> Iterator[tuple[int, str]]:
    """Yield the lines of a UTF-8 text file that are not blank, each with its number from 1.

    With or without a byte order mark. Only ``\\n`` and ``\\r\\n`` end a line: other separators, such as U+2028, may stand
    inside of a JSON string.

    Raises:
        Exception: what `problem` makes of a message, when the file cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise problem(f"{path}: {error.strerror}; expected a file of JSON lines; correct the path") from error
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise problem(
            f"{path}, line {number}: this is not UTF-8; expected a file of JSON lines; save it as UTF-8"
        ) from error
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line.removesuffix("\r")


def read_jsonl(
    path: Path, problem: Callable[[str], Exception] = ValueError
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a JSON lines file, each with the number of its line; lines as `numbered_lines` has them.

    Args:
        path: the file.
        problem: makes the exception to raise from a message.

    Raises:
        Exception: what `problem` makes, when the file cannot be read or a line holds no object.
    """
    for number, line in numbered_lines(path, problem):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            where = f" ({error.msg}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
            raise problem(
                f"{path}, line {number}: this is not JSON{where}; expected one object to a line; correct it"
            ) from error
        if not isinstance(value, dict):
            raise problem(
                f"{path}, line {number}: found {_described(value)}, expected an object; write each row as {{...}}"
            )
        yield number, value


def _described(value: Any) -> str:
    words = {
        str: "a text",
        bool: "a truth value",
        int: "a number",
        float: "a number",
        list: "a list",
        type(None): "null",
    }
    return words.get(type(value), "something else")


def describe_error(error: OSError) -> str:
    """Return what the operating system says of an error, without its number."""
    return error.strerror or str(error)


def replace_file(path: Path, content: str | bytes) -> None:
    """Write a file as a whole, text as UTF-8: a reader sees the old or the new one, never a part.

    Raises:
        OSError: when it cannot be written; the old file is then untouched and no other one is left.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
