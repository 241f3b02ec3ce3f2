"""Before anything runs: can the run write what it will write? Each place is really written to, and left as it was."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.core.errors import UsageProblem
from bench.core.places import readable

T = TypeVar("T")

PROBE_BYTES = 2**20
"""What a work directory must have room for: the records and logs of a small run."""
_ATTEMPTS = 50
_PROBE = ".modelgate-probe-"

# What an error number means, for those that a user can do something about. Permissions are no use to ask for: root
# passes every check of them, and a file system that is mounted read-only refuses root too.
_FOUND = {
    errno.EROFS: "a read-only file system",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.ENOSPC: "a full file system",
    errno.EDQUOT: "a disk quota that is used up",
    errno.ENOTDIR: "a file where a folder is needed",
    errno.EEXIST: "a file where a folder is needed",
    errno.EISDIR: "a folder",
    errno.ENAMETOOLONG: "a name that is too long",
    errno.ELOOP: "links that lead to each other",
    errno.ENOENT: "a folder that is not there and cannot be made",
}


@dataclass(frozen=True)
class Output:
    """A file that is written when the run ends.

    Attributes:
        name: of the option or variable that names it.
        path: the file.
        makes_folders: whether the writer makes the folders that lack.
        size: bytes that it must have room for.
    """

    name: str
    path: Path
    makes_folders: bool = False
    size: int = 0


def check_names(paths: Iterable[Path]) -> None:
    """Refuse paths that Python cannot hold as text: torch, tokenizers and others take them as UTF-8 only.

    Raises:
        UsageProblem: the first whose name is no UTF-8, or is one and Python was told to read names in another encoding.
    """
    encoding = sys.getfilesystemencoding()
    for path in paths:
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            todo = "rename the folder" if encoding == "utf-8" else "unset PYTHONUTF8, or set PYTHONUTF8=1"
            raise UsageProblem(
                f"{readable(str(path))}: found a name that cannot be read as {encoding}, expected names and an encoding of "
                f"names in UTF-8; {todo}"
            ) from error


def check_scratch() -> None:
    """Refuse to begin where no temporary file can be written.

    Raises:
        UsageProblem: there is no folder for temporary files.
    """
    try:
        tempfile.gettempdir()
    except OSError as error:
        raise UsageProblem(
            "temporary files: found no folder that they can be written to (TMPDIR, /tmp), expected one with some free "
            "space; set TMPDIR, or make room"
        ) from error


def check_work_dir(path: Path) -> None:
    """Make the folder, write 1 MB into it, and remove both.

    Raises:
        UsageProblem: it cannot be made or written.
    """
    name = _shown("--work-dir", path)
    try:
        with _folder(path) as folder:
            _write_probe(folder, PROBE_BYTES)
    except (OSError, ValueError) as error:
        raise UsageProblem(
            f"{name}: found {_found(error, path)}, expected a folder that can be made and written, with 1 MB free; "
            "make room or correct it, or choose another one"
        ) from error


def check_outputs(outputs: Iterable[Output]) -> None:
    """Open each file for writing without changing it; remove what was made for that.

    Raises:
        UsageProblem: the first that cannot be written.
    """
    for output in outputs:
        try:
            _try_output(output)
        except (OSError, ValueError) as error:
            raise UsageProblem(
                f"{_shown(output.name, output.path)}: found {_found(error, output.path)}, expected a file that can be "
                "written; correct the path or leave it out"
            ) from error


def outputs_of(options: object, environment: Mapping[str, str], directory: Path) -> list[Output]:
    """Return the files that pytest, its plugins and the run write at the end.

    Args:
        options: pytest's, with ``xmlpath`` and ``benchmark_json`` where their plugins are there.
        environment: variables of the process.
        directory: what a relative path is relative to.
    """
    found = []
    for name, field, makes_folders in (
        ("--junitxml", "xmlpath", True),
        ("--benchmark-json", "benchmark_json", False),
    ):
        value = getattr(options, field, None)
        if value:
            text = os.path.expanduser(os.path.expandvars(str(value))) if makes_folders else str(value)
            found.append(Output(name, directory / text, makes_folders))
    summary = environment.get("GITHUB_STEP_SUMMARY")
    if summary:
        found.append(Output("$GITHUB_STEP_SUMMARY", directory / summary))
    return found


def _try_output(output: Output) -> None:
    path = output.path
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            if not os.access(path, os.W_OK):  # a device or a pipe: opening it would be heard at its other end
                raise PermissionError(errno.EACCES, "")
            return
    if not output.makes_folders:
        _append_nothing(path)
        return
    with _folder(path.parent):
        _append_nothing(path)


def _append_nothing(path: Path) -> None:
    existed = path.exists()
    with path.open("ab"):
        pass
    if existed:
        return
    try:
        _write_probe(path.parent, 4096)  # an empty file fits on a full disk
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    """Make a folder and those above it that lack; remove them again where nothing else was put into them."""
    lacking = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        _again(lambda: path.mkdir(parents=True, exist_ok=True))
        yield path
    finally:
        for folder in lacking:
            with suppress(OSError):
                folder.rmdir()


def _write_probe(folder: Path, size: int) -> None:
    """Write a file of a size and remove it; to the disk itself, since some file systems find their room only then."""

    def begin() -> tuple[int, str]:
        folder.mkdir(exist_ok=True)
        return tempfile.mkstemp(prefix=_PROBE, dir=folder)

    descriptor, name = _again(begin)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(size))
            file.flush()
            os.fsync(file.fileno())
    finally:
        os.unlink(name)


def _again(attempt: Callable[[], T]) -> T:
    """Repeat what fails because a run that starts at the same moment has removed a folder that both need."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(FileNotFoundError, FileExistsError):
            return attempt()
    return attempt()


def _found(error: Exception, path: Path) -> str:
    if not isinstance(error, OSError):
        return "a name that is none"  # a null character, say
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        file = next((place for place in (path, *path.parents) if place.is_file()), None)
        if file is not None:
            return "a file where a folder is needed" + ("" if file == path else f" ({file})")
    return _FOUND.get(
        error.errno or 0, f"a place that refuses it ({(error.strerror or 'no reason').lower()})"
    )


def _shown(name: str, path: Path) -> str:
    return f"{name} {readable(str(path))}"
