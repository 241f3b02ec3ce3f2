"""Which tasks, groups and tags an installed lm-evaluation-harness has, found without importing it.

Importing lm-evaluation-harness imports torch, and reading its 14,000 YAML files takes several seconds. Here the first
lines of each file are enough: its name, its tags, and the file that it includes. `bench.language.harness.selection` reads
the files that a run asks for in full.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from bench.core.errors import UsageProblem

EXTRA = "pip install 'modelgate[lm-eval]'"
_IGNORED = {"__pycache__", ".ipynb_checkpoints"}
# A key at the beginning of a line with its value, and the lines that belong to it.
_KEY = re.compile(
    rb"^[\"']?(task|group|tag|include|class)[\"']?[ \t]*:([^\n]*(?:\n(?:[ \t]+|-)[^\n]*)*)", re.MULTILINE
)
_PLAIN = re.compile(rb"[\w./:+-]+")

NameKind = Literal["task", "group", "tag"]


@dataclass(frozen=True)
class IndexEntry:
    """One name that can be asked for.

    Attributes:
        name: of the task, group or tag.
        kind: which of them.
        file: the YAML file; empty for a tag.
        members: tasks of a tag, sorted.
        tags: of a task or a group.
        is_class: whether a task is a class of Python.
    """

    name: str
    kind: NameKind
    file: str = ""
    members: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    is_class: bool = False


class FunctionName(str):
    """A function that a YAML file names by ``!function``, not imported yet.

    Attributes:
        folder: of that file.
    """

    __slots__ = ("folder",)

    folder: Path

    def __new__(cls, name: str, folder: Path) -> FunctionName:
        """Return the name with the folder it is relative to."""
        made = super().__new__(cls, name)
        made.folder = folder
        return made

    def __deepcopy__(self, memo: Any) -> FunctionName:
        """Return itself: it cannot change."""
        return self

    @property
    def file(self) -> Path | None:
        """The Python file next to the YAML file; None for a function of an installed module."""
        path = self.folder / f"{self.rpartition('.')[0].replace('.', '/')}.py"
        return path if path.is_file() else None


def installed_tasks() -> Path:
    """Return the folder of the installed harness's tasks.

    Raises:
        UsageProblem: it is not installed.
    """
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        raise UsageProblem(
            f"--lm-eval-tasks: found no lm-evaluation-harness in this environment; expected it; install it: {EXTRA}"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "tasks"


def installed_version() -> str:
    """Return the version of the installed harness."""
    return importlib.metadata.version("lm_eval")


def build_index(folders: Iterable[Path] = ()) -> dict[str, IndexEntry]:
    """Return all names of the installed harness and of some folders of YAML files; those of a later folder come first.

    Raises:
        UsageProblem: no harness is installed.
    """
    index = dict(_installed_index(installed_tasks()))
    for folder in folders:
        index |= _index_of(folder)
    return index


def read_config(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Return what a YAML file says, with the files that it includes; functions are :class:`FunctionName`.

    Raises:
        UsageProblem: a file that cannot be read, or is no mapping.
    """
    import yaml  # noqa: PLC0415  comes with an extra, and only tasks of the harness are YAML

    if path in seen:
        raise UsageProblem(f"{path}: found a file that includes itself, expected none; remove the `include`")
    try:
        found = yaml.load(path.read_bytes(), Loader=_loader(path.parent))
    except (OSError, yaml.YAMLError) as error:
        raise UsageProblem(
            f"{path}: found no YAML that can be read ({' '.join(str(error).split())[:200]}); correct the file"
        ) from error
    if not isinstance(found, dict):
        raise UsageProblem(f"{path}: found no mapping, expected the keys of a task or a group; correct it")
    included = found.pop("include", None) or []
    merged: dict[str, Any] = {}
    for name in included if isinstance(included, list) else [included]:
        other = read_config((path.parent / str(name)).resolve(), (*seen, path))
        other.pop("task_list", None)
        merged |= other
    return merged | found


@dataclass
class _Header:
    """What the index needs of a file and of what it includes."""

    task: str | None = None
    group: str | None = None
    is_class: bool = False
    tags: tuple[str, ...] = ()


@cache
def _installed_index(folder: Path) -> dict[str, IndexEntry]:
    return _index_of(folder)


def _index_of(folder: Path) -> dict[str, IndexEntry]:
    headers: dict[str, _Header] = {}
    index: dict[str, IndexEntry] = {}
    tags: dict[str, set[str]] = {}
    for path in sorted(_yaml_files(str(folder))):
        header = _header(path, headers, ())
        if header.is_class or not header.group:
            if header.task is None or header.task in index:
                continue
            index[header.task] = IndexEntry(header.task, "task", path, (), header.tags, header.is_class)
            for tag in header.tags:
                tags.setdefault(tag, set()).add(header.task)
        elif header.group not in index:
            index[header.group] = IndexEntry(header.group, "group", path, (), header.tags)
    for tag, members in tags.items():
        index.setdefault(tag, IndexEntry(tag, "tag", members=tuple(sorted(members))))
    return index


def _yaml_files(folder: str) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _IGNORED]
        for name in files:
            if name.endswith(".yaml"):
                yield f"{place}/{name}"


def _header(path: str, known: dict[str, _Header], seen: tuple[str, ...]) -> _Header:
    if path in known:
        return known[path]
    header = known[path] = _Header()
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError:
        return header
    values = {key.decode(): value for key, value in _KEY.findall(text)}
    for name in _names(values.get("include")):
        other = _header(os.path.normpath(os.path.join(os.path.dirname(path), name)), known, (*seen, path))
        header = _Header(other.task, other.group, other.is_class, other.tags)
    header.is_class |= "class" in values
    if "group" in values:
        header.group = next(iter(_names(values["group"])), None)
    if "task" in values and (header.is_class or not header.group):
        header.task = next(iter(_names(values["task"])), None)
    if "tag" in values:
        header.tags = _names(values["tag"])
    known[path] = header
    return header


def _names(value: bytes | None) -> tuple[str, ...]:
    """Return the names of a value: one, or a list."""
    if value is None:
        return ()
    bare = value.strip().strip(b"\"'")
    if _PLAIN.fullmatch(bare):
        return (bare.decode(),)
    import yaml  # noqa: PLC0415  comes with an extra, and only tasks of the harness are YAML

    try:
        found = yaml.load(b"x:" + value, Loader=_loader(Path()))["x"]
    except yaml.YAMLError:
        return ()
    return tuple(str(one) for one in (found if isinstance(found, list) else [found]) if one is not None)


def _loader(folder: Path) -> Any:
    """Return a safe loader that also knows ``!function``."""
    import yaml  # noqa: PLC0415  as above

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader = type("Loader", (base,), {})
    loader.add_constructor(  # type: ignore[attr-defined]  # of the base class
        "!function", lambda made, node: FunctionName(made.construct_scalar(node), folder)
    )
    return loader
