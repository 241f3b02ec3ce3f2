"""Which files a jailed process sees: folders less what is hidden in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def without(folders: Iterable[Path], hidden: Iterable[Path]) -> list[Path]:
    """Return what lies in folders, as few paths as can say it, without what is hidden.

    Landlock knows no exceptions, so a folder around a hidden one is replaced by everything else in it, but for links. What
    is put into such a folder later is not seen.

    Args:
        folders: files and folders; those that do not exist are left out.
        hidden: files and folders that must not be seen.
    """
    secret = [path.resolve() for path in hidden if path.exists()]
    found: dict[Path, None] = {}
    for folder in folders:
        for seen in _less(folder.resolve(), secret):
            found[seen] = None
    return [path for path in found if not any(other in found for other in path.parents)]


def _less(path: Path, secret: list[Path]) -> Iterable[Path]:
    if any(path == hidden or hidden in path.parents for hidden in secret):
        return
    if not any(path in hidden.parents for hidden in secret):
        if path.exists():
            yield path
        return
    try:
        children = sorted(path.iterdir())
    except OSError:
        return
    for child in children:
        if not child.is_symlink():
            yield from _less(child, secret)
