"""Which files a jailed process sees: folders less what is hidden in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def without(folders: Iterable[Path], hidden: Iterable[Path]) -> list[Path]:
    """Return what lies in folders, as few paths as can say it, without what is hidden.

    Landlock knows no exceptions, so a folder around a hidden one is replaced by everything else in it, but for links. What
    is put into such a folder later is not seen.

    Args:
        folders: files and folders; those that do not exist are left out.
        hidden: files and folders that must not be seen.
    """
    # Texts and sets: folders around what is hidden hold thousands of others, and this is asked for each case.
    closed = {os.path.realpath(path) for path in hidden if path.exists()}
    around = {folder for path in closed for folder in _above(path)}
    found: dict[str, None] = {}
    for folder in folders:
        path = os.path.realpath(folder)  # which a loop of links does not end
        if closed.isdisjoint((path, *_above(path))):
            found.update(dict.fromkeys(_less(path, closed, around)))
    return [Path(path) for path in found if found.keys().isdisjoint(_above(path))]


def _above(path: str) -> list[str]:
    """Return the folders that an absolute path lies in."""
    found = []
    while (folder := os.path.dirname(path)) != path:
        found.append(folder)
        path = folder
    return found


def _less(path: str, closed: set[str], around: set[str]) -> Iterator[str]:
    """Give what is in a path that does not lie in anything closed, without what is."""
    if path in closed:
        return
    if path not in around:
        if os.path.exists(path):
            yield path
        return
    try:
        with os.scandir(path) as entries:
            children = sorted(entry.path for entry in entries if not entry.is_symlink())
    except OSError:
        return
    for child in children:
        yield from _less(child, closed, around)
