"""Which files a jailed process sees: folders less what is hidden in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def without(folders: Iterable[Path], hidden: Iterable[Path]) -> list[Path]:
    """Return what lies in folders, as few paths as can say it, without what is hidden.

    Landlock knows no exceptions, so a folder around a hidden one is replaced by everything else in it. What is put into
    such a folder later is not seen. Links directly in a folder are followed.

    Args:
        folders: files and folders; those that do not exist are left out.
        hidden: files and folders that must not be seen.
    """
    secret = [path.resolve() for path in hidden]
    found: dict[Path, None] = {}
    for folder in folders:
        for path in _with_links(folder):
            for seen in _less(path, secret):
                found[seen] = None
    return [path for path in found if not any(other in found for other in path.parents)]


def _with_links(folder: Path) -> Iterable[Path]:
    try:
        yield folder.resolve(strict=True)
        links = [path for path in folder.iterdir() if path.is_symlink()] if folder.is_dir() else []
    except OSError:
        return
    yield from (link.resolve() for link in links if link.exists())


def _less(path: Path, secret: list[Path]) -> Iterable[Path]:
    if any(path == hidden or hidden in path.parents for hidden in secret):
        return
    if not any(path in hidden.parents for hidden in secret):
        yield path
        return
    try:
        children = sorted(path.iterdir())
    except OSError:
        return
    for child in children:
        if not child.is_symlink():
            yield from _less(child, secret)
