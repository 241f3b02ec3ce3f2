"""What a result depends on, part by part, so that a later run can take it over or say what has changed.

A fingerprint names its parts: ``{"candidate_file": "3f…", "entry": "a1…"}``. Two fit when all parts are equal.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from bench.core.names import content_hash

Fingerprint = dict[str, str]

_LENGTH = 12
_BENCH = Path(__file__).resolve().parents[1]
# A file of more bytes is read in three pieces: its beginning, its middle and its end. Weights that were trained again
# differ everywhere.
_WHOLE_BYTES = 64 * 2**20
_PIECE_BYTES = 4 * 2**20
# A candidate may name any folder, such as that of all programs. What holds more than this is known by sizes and times.
_MAX_FILES = 2000
_MAX_BYTES = 512 * 2**20
_MAX_STATES = 100_000
_OF_KERNEL = ("dev", "proc", "sys")
_IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+\.*([A-Za-z_][\w.]*)", re.MULTILINE)
_QUOTED = re.compile(r"""["']([^"'\n]{2,300})["']""")


def differing(stored: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Return the parts in which two fingerprints differ, those that only one has included."""
    return [part for part in dict.fromkeys((*wanted, *stored)) if stored.get(part) != wanted.get(part)]


def fingerprint_of(value: Any, files: Iterable[Path] = ()) -> Fingerprint:
    """Return the fingerprint of a dataclass: a part for each field that is a path, one for all other fields.

    Args:
        value: an instance of a dataclass, such as a case.
        files: what else it depends on; Python files with what they import and name next to them.
    """
    parts: Fingerprint = {}
    rest: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        member = getattr(value, field.name)
        if isinstance(member, Path):
            parts[field.name] = path_hash(member)
        else:
            rest[field.name] = member
    parts["entry"] = content_hash(rest)[:_LENGTH]
    members = sorted(set(files))
    if members:
        parts["files"] = content_hash([path_hash(file) for file in members])[:_LENGTH]
    return parts


def path_hash(path: Path) -> str:
    """Return a hash of a file or folder by content; of a Python file, together with its neighbours that it uses.

    Neighbours are the modules that it imports from its own folder, and files and folders that its text names. A folder is
    known by the names and contents of its files. What does not exist has a hash of its own.
    """
    digest = hashlib.sha256()
    for file in _with_neighbours(path):
        digest.update(_content(file).encode())
    return digest.hexdigest()[:_LENGTH]


def _with_neighbours(path: Path) -> list[Path]:
    found, left = [path], [path]
    while left:
        current = left.pop()
        for other in _neighbours(current):
            if other not in found:
                found.append(other)
                left.append(other)
    return [path, *sorted(found[1:])]


def _neighbours(path: Path) -> list[Path]:
    if path.suffix != ".py" or not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    folder = path.parent
    found = []
    for module in dict.fromkeys(_IMPORT.findall(text)):
        place = folder / module.replace(".", "/")
        found += [other for other in (place.with_suffix(".py"), place / "__init__.py") if _is_file(other)]
    for name in dict.fromkeys(_QUOTED.findall(text)):
        if "/" in name or "." in name:
            found += [other for base in (folder, Path.cwd()) if _is_named(other := base / name, folder)]
    return found


def _is_named(path: Path, folder: Path) -> bool:
    """Whether a text of a file in a folder names a file, or a folder that holds neither that folder nor the working one."""
    try:
        real = path.resolve()
        # What the kernel shows of itself is no content, and may take for ever to read.
        if real.parts[1:2] and real.parts[1] in _OF_KERNEL:
            return False
        # In what holds them stand results, too: with it nothing would ever be taken over.
        is_above = any(inner.resolve().is_relative_to(real) for inner in (folder, Path.cwd()))
        return path.is_file() or (path.is_dir() and not is_above)
    except (OSError, ValueError, RuntimeError):  # a text that is no path, or a loop of links
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _content(path: Path) -> str:
    try:
        if path.is_dir():
            return _folder_hash(path)
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):  # a pipe would never end
            return f"no file: {stat.S_IFMT(state.st_mode)}"
        return _file_hash(str(path), state.st_size, state.st_mtime_ns)
    except OSError as error:
        return f"absent: {error.errno}"


def _folder_hash(folder: Path) -> str:
    """Return a hash of the names and contents of all files; of a folder that is large, of their sizes and times."""
    files = sorted(islice(_files_below(folder), _MAX_STATES + 1))
    if len(files) > _MAX_STATES:
        return f"too many files to look at: {folder}"
    states = [(str(file.relative_to(folder)), _size_and_time(file)) for file in files]
    to_read = sum(size if size <= _WHOLE_BYTES else 3 * _PIECE_BYTES for _, (size, _) in states)
    if len(files) > _MAX_FILES or to_read > _MAX_BYTES:
        return content_hash(["not read", *states])
    return content_hash([[name, _content(file)] for (name, _), file in zip(states, files, strict=True)])


def _size_and_time(file: Path) -> tuple[int, int]:
    try:
        state = file.stat()
    except OSError:
        return 0, 0
    return state.st_size, state.st_mtime_ns


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__" and not name.startswith(".")]
        yield from (Path(parent) / name for name in names)


@cache
def _file_hash(path: str, size: int, changed_ns: int) -> str:
    digest = hashlib.sha256(str(size).encode())
    with open(path, "rb") as file:
        if size <= _WHOLE_BYTES:
            digest.update(file.read())
        else:
            for start in (0, size // 2, size - _PIECE_BYTES):
                file.seek(start, os.SEEK_SET)
                digest.update(file.read(_PIECE_BYTES))
    return digest.hexdigest()


@cache
def own_code() -> str:
    """Return a hash of the suite's own code, as it is on the disk now."""
    digest = hashlib.sha256()
    for file in sorted(_BENCH.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:_LENGTH]
