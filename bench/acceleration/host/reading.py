"""What the arms of a case may read besides the system and Python: the project of its files, their models, model caches."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

from bench.machine.visible import without

_MARKS = (".git", "pyproject.toml", "setup.py", "setup.cfg")
_CACHES = (
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_DATASETS_CACHE",
    "TORCH_HOME",
    "XDG_CACHE_HOME",
    "CUDA_HOME",
    "CUDA_PATH",
)
_SECRETS = (
    ".ssh", ".aws", ".azure", ".config", ".docker", ".git-credentials", ".gnupg", ".kube", ".netrc", ".npmrc", ".pypirc",
    ".bash_history", ".zsh_history", ".python_history", ".cache/huggingface/token", ".cache/huggingface/stored_tokens",
)  # fmt: skip
_PACKAGE = Path(__file__).resolve().parents[2]
_MANY_FILES, _MANY_LINKS = 50, 5000


def readable_places(
    files: Iterable[Path],
    *,
    begun_in: Path,
    environment: Mapping[str, str],
    allowed: Iterable[Path] = (),
    hidden: Iterable[Path] = (),
) -> list[Path]:
    """Return files and folders that the arms of a case may read.

    Those are the project of each pipeline file (the nearest folder above it with a ``pyproject.toml`` or the like; else the
    folder in which the run was begun, if the file lies in it; else the file's own folder), absolute paths that stand in the
    pipeline files or in the files next to them, model caches, paths in variables, and what the user allows. Version control,
    keys and tokens are left out.

    Args:
        files: pipeline files of the case.
        begun_in: folder in which the run was begun.
        environment: what the arms see of it.
        allowed: further files and folders, as the user says.
        hidden: what no arm may see, such as the results of the run.
    """
    files = [file.resolve() for file in files]
    folders = {file.parent for file in files}
    projects = [_project(file, begun_in.resolve()) for file in files]
    named = [place for folder in sorted(folders) for place in _named_in(folder)]
    named += [
        Path(value) for name, value in environment.items() if name not in _CACHES and os.path.isabs(value)
    ]
    named = [place for place in named if place.exists() and len(place.parts) > 2]
    caches = [Path(environment[name]) for name in _CACHES if environment.get(name)]
    modules = [Path(place) for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]
    homes = {Path.home(), *caches}
    secrets = [home / name for home in homes for name in (*_SECRETS, "token", "stored_tokens")]
    secrets += [project / ".git" for project in projects]
    wide = without([*projects, *modules, *caches, *named, *_linked(named)], [*hidden, *secrets])
    return sorted({*wide, *without([*folders, *allowed, _PACKAGE], [])})


def _project(file: Path, begun_in: Path) -> Path:
    home = Path.home().resolve()
    for folder in file.parents:
        if folder == home or len(folder.parts) < 2:
            break
        if any((folder / mark).exists() for mark in _MARKS):
            return folder
    if begun_in in file.parents and begun_in != home and len(begun_in.parts) > 1:
        return begun_in
    return file.parent


def _named_in(folder: Path) -> Iterable[Path]:
    """Return the absolute paths that stand as texts in the Python files of a folder."""
    for file in islice(sorted(folder.glob("*.py")), _MANY_FILES):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(file.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and os.path.isabs(node.value):
                try:
                    place = Path(node.value)
                    if place.exists():
                        yield place
                except (OSError, ValueError):  # a text that only begins like a path
                    continue


def _linked(folders: Iterable[Path]) -> Iterable[Path]:
    """Return what links anywhere in folders point to: models of a hub's cache are made of them."""
    for folder in folders:
        if folder.is_dir():
            for path in islice(folder.rglob("*"), _MANY_LINKS):
                if path.is_symlink():
                    yield path.resolve()
