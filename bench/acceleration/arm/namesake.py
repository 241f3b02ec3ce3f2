"""Letting a pipeline file import a package ``bench`` of its own, where this process has ours by that name."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.core.interpreter import OWN_PACKAGE


def let_import_its_own(folder: Path) -> None:
    """Have code below a folder import the package of our name that is there, if there is one, from now on.

    Run by itself, a file in that folder would get it. Code of everybody else still gets ours.

    Args:
        folder: of the file, which is on the path.
    """
    here = Path(__file__).resolve().parents[3]
    if folder.resolve() == here:
        return
    if (folder / f"{OWN_PACKAGE}.py").is_file() or (folder / OWN_PACKAGE).is_dir():
        builtins.__import__ = _Importer(folder, builtins.__import__)  # type: ignore[assignment]


class _Importer:
    """Stands for ``__import__``."""

    def __init__(self, folder: Path, plain: Any) -> None:
        self._folder, self._plain = folder, plain
        # The modules of the side that is not in place.
        self._away: dict[str, ModuleType] = {}
        self._are_in_place = False

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> Any:
        """Import a module as Python does."""
        # A relative import goes by the package of who asks.
        asked = name if level == 0 else str((globals or {}).get("__package__") or "")
        if asked.partition(".")[0] != OWN_PACKAGE or self._is_theirs(globals) == self._are_in_place:
            return self._plain(name, globals, locals, fromlist, level)
        with self._exchanged():
            return self._plain(name, globals, locals, fromlist, level)

    def _is_theirs(self, asking: Mapping[str, Any] | None) -> bool:
        file = (asking or {}).get("__file__")
        return isinstance(file, str) and Path(file).is_relative_to(self._folder)

    @contextmanager
    def _exchanged(self) -> Iterator[None]:
        """Have the modules of the other side in place: theirs, or ours again where theirs lead to us."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        away = _taken_out()
        sys.modules.update(self._away)
        self._away, self._are_in_place = away, not self._are_in_place


def _taken_out() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name == OWN_PACKAGE or name.startswith(f"{OWN_PACKAGE}.")]
    return {name: sys.modules.pop(name) for name in names}
