"""Leases that hold on the whole machine: a lock for each core and GPU, in a directory that all runs share.

A lock is ``flock`` on a file of its own, such as ``cpu-3``. The kernel frees it when its holder dies. The holder writes
into the file who it is, so that a run that waits can say for whom. The files stay: removing one could split a lock in two.

A directory or file that cannot be used takes no run down. Its leases hold within the run only, and
:attr:`MachineLocks.problem` says so.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

VARIABLE = "MODELGATE_LEASE_DIR"
DIRECTORY = Path("/tmp/modelgate-leases")  # not TMPDIR, which is often another one in each session
_SHARED_DIRECTORY, _SHARED_FILE = 0o1777, 0o666  # whatever the umask is
# Another user may have put anything there: links are not followed, and a pipe must not hang the run.
_OPEN = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MAX_TEXT, _MAX_NAME = 4096, 80
_ATTEMPTS = 3
_NO_LOCK = -1

_GPUS = Path("/proc/driver/nvidia/gpus")

# A child that is forked without exec would hold the locks beyond the death of its parent.
_descriptors: set[int] = set()


def _close_in_child() -> None:
    for descriptor in tuple(_descriptors):
        _close(descriptor)


os.register_at_fork(after_in_child=_close_in_child)


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, as the holder says.

    Attributes:
        run: name of the run's directory.
        pid: of the process that owns the run, in its own container.
    """

    run: str | None = None
    pid: int | None = None

    def __str__(self) -> str:
        """Return it in words."""
        return "another run" if self.run is None else f"run {self.run} (pid {self.pid})"

    @classmethod
    def parse(cls, text: bytes) -> Holder:
        """Return the holder that a file names; nobody in particular where it names none. All fields are untrusted."""
        try:
            found = json.loads(text)
            run, pid = found["run"], found["pid"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return cls()
        if not isinstance(run, str) or not isinstance(pid, int):
            return cls()
        return cls("".join(letter for letter in run if letter.isprintable())[:_MAX_NAME], pid)


class MachineLocks:
    """The machine-wide locks of the resources of one run, which are known by their index.

    Args:
        names: of the resources, such as ``cpu-3``; in the order of their indices.
        run: returns the name of the run, for the runs that wait.
        directory: where the lock files are; by default what `lease_directory` returns.

    Attributes:
        problem: why some lock could not be had and was done without, or None; the first one.
    """

    def __init__(self, names: Sequence[str], run: Callable[[], str], directory: Path | None = None) -> None:
        self.names, self._run = tuple(names), run
        self.directory = lease_directory() if directory is None else directory
        self.problem: str | None = None
        self._held: dict[int, int] = {}

    def take(self, free: Sequence[int], count: int) -> tuple[tuple[int, ...], dict[int, Holder]]:
        """Lock ``count`` of these resources, the lowest that no other run holds; all of them or none.

        Returns:
            What was locked, and who holds what was tried and could not be locked.
        """
        taken: dict[int, int] = {}
        elsewhere: dict[int, Holder] = {}
        for index in sorted(free):
            if len(taken) == count:
                break
            found = self._lock(self.names[index])
            if isinstance(found, Holder):
                elsewhere[index] = found
            else:
                taken[index] = found
        if len(taken) < count:
            for descriptor in taken.values():
                _unlock(descriptor)
            return (), elsewhere
        self._sign(taken.values())
        self._held |= taken
        return tuple(taken), elsewhere

    def release(self, indices: Sequence[int]) -> None:
        """Unlock what was locked of these."""
        for index in indices:
            descriptor = self._held.pop(index, _NO_LOCK)
            if descriptor in _descriptors:
                with suppress(OSError):  # opened for reading only
                    os.ftruncate(descriptor, 0)
                _unlock(descriptor)

    def held_elsewhere(self) -> dict[int, Holder]:
        """Return who holds which resource, when other runs hold all of them; else nothing."""
        taken, elsewhere = self.take(range(len(self.names)), 1)
        self.release(taken)
        return {} if taken else elsewhere

    def describe(self, elsewhere: Mapping[int, Holder]) -> str:
        """Return such as ``cpu-0, cpu-1, held by run 20261125_101500 (pid 123)``."""
        names: dict[Holder, list[str]] = {}
        for index, holder in elsewhere.items():
            names.setdefault(holder, []).append(self.names[index])
        return " and ".join(f"{', '.join(held)}, held by {holder}" for holder, held in names.items())

    def _lock(self, name: str) -> int | Holder:
        """Return a locked descriptor, who holds it instead, or ``_NO_LOCK`` where nothing can be locked."""
        try:
            _make_shared(self.directory)
            directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | _OPEN)
            try:
                return _lock_file(directory, name)
            finally:
                os.close(directory)
        except OSError as error:
            self.problem = (
                self.problem or f"{self.directory / name} cannot be locked ({error.strerror or error})"
            )
            return _NO_LOCK

    def _sign(self, descriptors: Iterable[int]) -> None:
        text = json.dumps(
            {
                "pid": os.getpid(),
                "run": self._run(),
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        ).encode()
        for descriptor in descriptors:
            with suppress(OSError):  # no lock, or opened for reading only
                os.pwrite(descriptor, text, 0)
                os.ftruncate(descriptor, len(text))


def lease_directory() -> Path:
    """Return the directory of the lock files: what ``MODELGATE_LEASE_DIR`` names, else one below ``/tmp``."""
    named = os.environ.get(VARIABLE)
    return Path(named).resolve() if named else DIRECTORY


def gpu_names(count: int) -> tuple[str, ...]:
    """Return the names of the visible GPUs: by UUID where the driver tells it, else by physical index."""
    uuids = _gpu_uuids()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    wanted = map(str, range(count)) if visible is None else (word.strip() for word in visible.split(","))
    return tuple(f"gpu-{_physical_gpu(word, uuids)}" for word in wanted if word and word != "-1")[:count]


def _physical_gpu(word: str, uuids: Sequence[str]) -> str:
    if word.isascii() and word.isdigit():
        return uuids[int(word)] if int(word) < len(uuids) else str(int(word))
    matching = [uuid for uuid in uuids if uuid.startswith(word)]  # CUDA takes abbreviations
    full = matching[0] if len(matching) == 1 else word
    return "".join(letter if letter.isalnum() else "-" for letter in full)


def _gpu_uuids() -> list[str]:
    """Return the UUIDs of all GPUs in the order of their bus addresses."""
    found = []
    for file in sorted(_GPUS.glob("*/information")):
        with suppress(OSError):
            lines = file.read_text().splitlines()
            found += [
                line.partition(":")[2].strip()
                for line in lines
                if line.startswith("GPU UUID") and "?" not in line
            ]
    return found


def _make_shared(directory: Path) -> None:
    with suppress(FileExistsError):
        directory.mkdir(parents=True)
        directory.chmod(_SHARED_DIRECTORY)


def _lock_file(directory: int, name: str) -> int | Holder:
    for _ in range(_ATTEMPTS):
        descriptor = _open(directory, name)
        _descriptors.add(descriptor)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                raise OSError("it is not a plain file")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.stat(name, dir_fd=directory, follow_symlinks=False).st_ino == found.st_ino:
                return descriptor
        except BlockingIOError:
            holder = Holder.parse(os.pread(descriptor, _MAX_TEXT, 0))
            _close(descriptor)
            return holder
        except FileNotFoundError:
            pass
        except BaseException:
            _close(descriptor)
            raise
        _close(descriptor)  # somebody has cleaned up: the lock that counts is the one with the name
    raise OSError("it is removed again and again")


def _open(directory: int, name: str) -> int:
    try:
        return os.open(name, os.O_RDWR | _OPEN, dir_fd=directory)
    except PermissionError:  # another user's; flock works without the right to write
        return os.open(name, os.O_RDONLY | _OPEN, dir_fd=directory)
    except FileNotFoundError:
        with suppress(FileExistsError):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _OPEN
            descriptor = os.open(name, flags, _SHARED_FILE, dir_fd=directory)
            os.fchmod(descriptor, _SHARED_FILE)
            return descriptor
        return _open(directory, name)


def _unlock(descriptor: int) -> None:
    """Unlock, also where a child has a copy of the descriptor."""
    if descriptor in _descriptors:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        _close(descriptor)


def _close(descriptor: int) -> None:
    _descriptors.discard(descriptor)
    with suppress(OSError):
        os.close(descriptor)
