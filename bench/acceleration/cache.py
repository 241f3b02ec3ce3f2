"""What a run computes once and shares between its workers: arrays by the hash of what made them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench.core.files import replace_file

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

KEPT = "MODELGATE_KEPT_CACHE"
"""Names the folder of a cache that outlives its run: ``modelgate judge --watch`` keeps what it knows of a baseline."""


class ContentCache:
    """A directory of array files, each named by the hash of everything that determines its content.

    Entries appear atomically, so a reader needs no lock. A process that computes an entry holds :meth:`locked`, so that
    nothing is computed twice.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def key(*parts: Any) -> str:
        """Return the hash of the parts, which must be plain builtins or bytes."""
        text = json.dumps(parts, default=lambda value: hashlib.sha256(value).hexdigest(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def load(self, key: str) -> dict[str, np.ndarray] | None:
        """Return the arrays stored under a key, or None."""
        import numpy as np  # noqa: PLC0415

        try:
            with np.load(self._directory / f"{key}.npz", allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except FileNotFoundError:
            return None

    def store(self, key: str, **arrays: np.ndarray) -> None:
        """Store arrays under a key; storing it twice is harmless."""
        import numpy as np  # noqa: PLC0415

        temporary = self._directory / f".{key}.{os.getpid()}.npz"
        with open(temporary, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        temporary.replace(self._directory / f"{key}.npz")

    def load_json(self, key: str) -> Any:
        """Return the plain value stored under a key, or None."""
        try:
            return json.loads((self._directory / f"{key}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def store_json(self, key: str, value: Any) -> None:
        """Store a plain value under a key."""
        replace_file(self._directory / f"{key}.json", json.dumps(value))

    def once(self, key: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Return the arrays of a key, made by whichever worker is first; what ``make`` raises stores nothing."""
        return self._once(key, self.load, lambda made: self.store(key, **made), make)

    def once_json(self, key: str, make: Callable[[], Any]) -> Any:
        """Return the plain value of a key, made by whichever worker is first."""
        return self._once(key, self.load_json, lambda made: self.store_json(key, made), make)

    def _once(
        self, key: str, load: Callable[[str], T | None], store: Callable[[T], None], make: Callable[[], T]
    ) -> T:
        found = load(key)
        if found is not None:
            return found
        with self.locked(key):
            found = load(key)
            if found is None:
                found = make()
                store(found)
            return found

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Hold the key's lock; the kernel frees it when its holder dies."""
        with open(self._directory / f"{key}.lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def cache_of(scratch: Path, environment: Mapping[str, str]) -> ContentCache:
    """Return the cache of a run: the one that is kept for it, else one of its own in its scratch folder."""
    return ContentCache(Path(environment.get(KEPT) or scratch / "cache"))


def directory_fingerprint(name: str | None) -> list[list[Any]]:
    """Return names, sizes and times of the files of a local model directory; empty for a hub name.

    Hashing gigabytes of weights in every case would cost more than it guards against within one run.
    """
    if not name or not Path(name).is_dir():
        return []
    files = sorted(path for path in Path(name).rglob("*") if path.is_file())
    return [
        [str(path.relative_to(name)), path.stat().st_size, path.stat().st_mtime_ns] for path in files[:1000]
    ]
