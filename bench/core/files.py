"""Files that several rooms read and write: JSON lines, and replacing a file as a whole."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.core.names import json_kind

# What a file that is no UTF-8 text begins with.
_MARKS = {
    b"\x1f\x8b": ("a gzip file", "unpack it"),
    b"PK\x03\x04": ("a zip file, such as xlsx", "unpack it, or export it as text"),
    b"BZh": ("a bzip2 file", "unpack it"),
    b"\xfd7zXZ": ("an xz file", "unpack it"),
    b"(\xb5/\xfd": ("a zstandard file", "unpack it"),
    b"PAR1": ("a parquet file", "name it .parquet"),
    b"version https://git-lfs": ("a Git LFS pointer in place of the file", "git lfs pull gets it"),
    b"%PDF-": ("a PDF file", "export its text"),
    b"<!DOCTYPE": ("a web page", "download the file itself, not the page that shows it"),
    b"<!doctype": ("a web page", "download the file itself, not the page that shows it"),
    b"<html": ("a web page", "download the file itself, not the page that shows it"),
    b"\xff\xfe\x00\x00": ("UTF-32 text", "save it as UTF-8"),
    b"\xff\xfe": ("UTF-16 text", "save it as UTF-8"),
    b"\xfe\xff": ("UTF-16 text", "save it as UTF-8"),
}


def read_file(path: Path, problem: Callable[[str], Exception] = ValueError, *, what: str) -> bytes:
    """Return the content of a regular file. A pipe is refused: it can be read once, and a run reads it several times.

    Args:
        path: the file.
        problem: makes the exception to raise from a message.
        what: what is expected, such as ``a file of JSON lines``, for the message.

    Raises:
        Exception: what `problem` makes, when there is no such file or it cannot be read.
    """
    try:
        mode = path.stat().st_mode
        data = path.read_bytes() if stat.S_ISREG(mode) else None
    except OSError as error:
        raise problem(f"{path}: {error.strerror}; expected {what}; correct the path") from error
    if data is None:
        found = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
        raise problem(f"{path}: found {found}, expected {what}; give the path of a file")
    return data


def read_text(
    path: Path, problem: Callable[[str], Exception] = ValueError, *, what: str = "a file of JSON lines"
) -> str:
    """Return a UTF-8 text file without its byte order mark; arguments as for `read_file`.

    Raises:
        Exception: what `problem` makes, when the file cannot be read or is no UTF-8 text.
    """
    data = read_file(path, problem, what=what)
    if (mark := mark_of(data)) is not None:
        raise problem(f"{path}: found {mark[0]}, expected {what} in UTF-8; {mark[1]}")
    if (place := data.find(b"\0")) >= 0:
        number = data.count(b"\n", 0, place) + 1
        raise problem(
            f"{path}, line {number}: found a zero byte, as UTF-16 and files that are no text have it, expected {what} in "
            "UTF-8; save it as UTF-8"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise problem(
            f"{path}, line {number}: this is not UTF-8; expected {what}; save it as UTF-8"
        ) from error


def mark_of(data: bytes) -> tuple[str, str] | None:
    """Return what a file is that is no UTF-8 text, and what to do with it; None for one that may be text."""
    return next((found for mark, found in _MARKS.items() if data.startswith(mark)), None)


def numbered_lines(path: Path, problem: Callable[[str], Exception] = ValueError) -> Iterator[tuple[int, str]]:
    """Yield the lines of a UTF-8 text file that are not blank, each with its number from 1.

    With or without a byte order mark. Only ``\\n`` and ``\\r\\n`` end a line: other separators, such as U+2028, may stand
    inside of a JSON string.

    Raises:
        Exception: what `problem` makes of a message, when the file cannot be read.
    """
    yield from text_lines(read_text(path, problem))


def text_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield what `numbered_lines` does, from a text that was read already."""
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
    yield from parse_jsonl(path, read_text(path, problem), problem)


class NotStrict(ValueError):
    """JSON that programs read in different ways; the message says what was found in it, and what is expected."""


def loads_strictly(text: str) -> Any:
    """Return a JSON value of which every program reads the same.

    Raises:
        NotStrict: an object that has a name twice, or NaN or Infinity for a number.
        ValueError: a text that is no JSON.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise NotStrict(f"found {twice!r} twice in an object, expected each name once; leave one out")
        return found

    def refuse(word: str) -> Any:
        raise NotStrict(f"found {word}, which is no JSON, expected a number or null; correct it")

    return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)


def parse_jsonl(
    path: Path,
    text: str,
    problem: Callable[[str], Exception] = ValueError,
    loads: Callable[[str], Any] = json.loads,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield what `read_jsonl` does, from a text that was read already; the path is for messages."""
    for number, line in text_lines(text):
        try:
            value = loads(line)
        except NotStrict as error:
            raise problem(f"{path}, line {number}: {error}") from error
        except (ValueError, RecursionError) as error:
            where = f" ({error.msg}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
            raise problem(
                f"{path}, line {number}: this is not JSON{where}; expected one object to a line; correct it"
            ) from error
        if not isinstance(value, dict):
            raise problem(
                f"{path}, line {number}: found {json_kind(value)}, expected an object; write each row as {{...}}"
            )
        yield number, value


def describe_error(error: OSError) -> str:
    """Return what the operating system says of an error, without its number."""
    return error.strerror or str(error)


def replace_file(path: Path, content: str | bytes) -> None:
    """Write a file as a whole, text as UTF-8: a reader sees the old or the new one, never a part.

    Raises:
        OSError: when it cannot be written, with this path; the old file is then untouched and no other one is left.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, describe_error(error), str(path)) from error


def write_output(path: Path, text: str) -> None:
    """Write a file that somebody named, as UTF-8. What a link, a pipe or a device leads to is written to, not replaced.

    Raises:
        OSError: when it cannot be written, with this path.
    """
    if path.is_symlink() or (path.exists() and not (path.is_file() or path.is_dir())):
        path.write_text(text, encoding="utf-8")
    else:
        replace_file(path, text)
