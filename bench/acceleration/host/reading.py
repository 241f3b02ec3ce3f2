"""What the arms of a case may read besides the system and Python: the project of its files, their models, model caches."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterable, Mapping
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
    "token", "stored_tokens",
)  # fmt: skip
_PACKAGE = Path(__file__).resolve().parents[2]
_OF_SOCKETS = ("/run", "/tmp", "/var/tmp")
_MODULES = (
    "PYTHONPATH"  # whole trees of code, which are no models: nothing in them is walked through for links
)
_MANY_LINKS = 5000
_OF_SYSTEM = ("boot", "dev", "etc", "proc", "run", "sys", "var")


def readable_places(
    trusted: Iterable[Path],
    candidate: Path | None = None,
    *,
    begun_in: Path,
    environment: Mapping[str, str],
    allowed: Iterable[Path] = (),
    hidden: Iterable[Path] = (),
) -> list[Path]:
    """Return files and folders that the arms of a case may read.

    Those are the project of each pipeline file (the nearest folder above it with a ``pyproject.toml`` or the like; else the
    folder in which the run was begun, if the file lies in it; else the file's own folder), absolute paths that stand in
    target and baseline, model caches, paths in variables, and what the user allows. Version control, keys and tokens stay
    closed. What a candidate names or links to opens nothing: its author may be after more than a model.

    Args:
        trusted: target and baseline.
        candidate: the candidate's file.
        begun_in: folder in which the run was begun.
        environment: what the arms see of it.
        allowed: further files and folders, as the user says.
        hidden: what no arm may see, such as the results of the run.
    """
    trusted = [file.resolve() for file in trusted]
    files = [*trusted, *([] if candidate is None else [candidate.resolve()])]
    projects = [_project(file, begun_in.resolve()) for file in files]
    of_trusted = projects[: len(trusted)]
    named = [place for file in trusted for place in _named_in(file)]
    named += [
        Path(value)
        for name, value in environment.items()
        if name not in (*_CACHES, _MODULES) and os.path.isabs(value)
    ]
    named = [place for place in named if _is_of_data(place)]
    caches = [Path(environment[name]) for name in _CACHES if environment.get(name)]
    modules = [Path(place) for place in environment.get(_MODULES, "").split(os.pathsep) if place]
    secrets = [home / name for home in {Path.home(), *caches} for name in _SECRETS]
    secrets += [project / ".git" for project in projects]
    linked = [*(link for project in of_trusted for link in _links_in(project)), *_linked(named)]
    wide = without([*projects, *modules, *caches, *named, *linked], [*hidden, *secrets])
    # Somebody may keep runs next to the files, or above them.
    own = [
        place
        for folder in {file.parent for file in files}
        for place in without(
            [folder], [one for one in (*hidden, *secrets) if one not in (folder, *folder.parents)]
        )
    ]
    return sorted({*wide, *own, *without([*allowed, _PACKAGE], [])})


def listed_places(files: Iterable[Path], readable: Iterable[Path]) -> list[Path]:
    """Return the folders of pipeline files of which arms may read the names of what they hold, and not all of it.

    Python looks for modules by these names.

    Args:
        files: the pipeline files of a case.
        readable: as from `readable_places`.
    """
    places = set(readable)
    folders = {file.resolve().parent for file in files}
    return sorted(folder for folder in folders if places.isdisjoint((folder, *folder.parents)))


def covered_places(readable: Iterable[Path], sockets: Iterable[Path]) -> list[Path]:
    """Return folders of sockets that can be empty for arms: those in which nothing lies that they may read.

    Args:
        readable: as from `readable_places`.
        sockets: folders in which the run has sockets, besides those of the system.
    """
    folders = [folder.resolve() for folder in (*map(Path, _OF_SOCKETS), *sockets)]
    places = list(readable)
    return [folder for folder in folders if not any(folder in (place, *place.parents) for place in places)]


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


def _named_in(file: Path) -> Iterable[Path]:
    """Return the absolute paths that stand as texts in a Python file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and os.path.isabs(node.value):
            yield Path(node.value)


def _is_of_data(place: Path) -> bool:
    """Whether a path may be that of a model: it exists, and is neither of the system nor a whole home or disk."""
    try:
        found = place.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # a text that only begins like a path, or a loop of links
        return False
    return len(found.parts) > 2 and found.parts[1] not in _OF_SYSTEM and found != Path.home().resolve()


def _links_in(folder: Path) -> Iterable[Path]:
    """Return what links directly in a folder point to."""
    return [path.resolve() for path in folder.iterdir() if path.is_symlink() and path.exists()]


def _linked(folders: Iterable[Path]) -> Iterable[Path]:
    """Return what links anywhere in folders point to: models of a hub's cache are made of them."""
    for folder in folders:
        seen = 0
        for place, below, files in os.walk(folder):
            for name in (*below, *files)[: _MANY_LINKS - seen]:
                path = os.path.join(place, name)
                if os.path.islink(path):
                    yield Path(os.path.realpath(path))  # which a loop of links does not end
            seen += len(below) + len(files)
            if seen >= _MANY_LINKS:
                break
