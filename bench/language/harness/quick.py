"""lm-evaluation-harness's own index of its tasks, with each file read when it is asked for. Imports lm-evaluation-harness.

The harness reads its 14,000 YAML files in full whenever it starts, which is a third of a short command. Names, kinds and
tags come from the first lines here, as everywhere in the suite; what a file says is read where somebody looks at it. A
user's own folders are read by the harness itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lm_eval.tasks._index import Entry, Kind, TaskIndex
from lm_eval.tasks._yaml_loader import load_yaml

from bench.language.harness.index import IndexEntry, build_index, installed_tasks

Build = Callable[..., dict[str, Entry]]

_log = logging.getLogger(__name__)


class LazyEntry(Entry):  # type: ignore[misc]  # the harness has no types
    """An entry of the harness's index that reads its file when its ``cfg`` is looked at."""

    _cfg: dict[str, Any] | None

    @property
    def cfg(self) -> dict[str, Any] | None:
        """What the file says, with what it includes; functions are not imported. None for a tag."""
        if self._cfg is None and self.yaml_path is not None:
            self.cfg = load_yaml(self.yaml_path, resolve_func=False)
        return self._cfg

    @cfg.setter
    def cfg(self, value: dict[str, Any] | None) -> None:
        self._cfg = value


def provide() -> None:
    """Have the harness in this process begin with the quick index."""
    TaskIndex.build = staticmethod(started_quickly(TaskIndex.build))


def started_quickly(original: Build) -> Build:
    """Return the harness's ``TaskIndex.build``, but for the folder that it comes with."""

    def build(paths: Iterable[Path], **named: Any) -> dict[str, Entry]:
        index: dict[str, Entry] = {}
        for root in paths:
            quick = Path(root) == installed_tasks()
            for name, entry in (_installed() if quick else original([root], **named)).items():
                if name in index:
                    place, other = entry.yaml_path, index[name].yaml_path
                    _log.warning("%s of %s takes the place of that of %s", name, place, other)
                index[name] = entry
        return index

    return build


def _installed() -> dict[str, Entry]:
    return {name: _entry(found) for name, found in build_index().items()}


def _entry(found: IndexEntry) -> LazyEntry:
    kind = Kind.PY_TASK if found.is_class else Kind[found.kind.upper()]
    path = Path(found.file) if found.file else None
    return LazyEntry(found.name, kind, path, None, set(found.members or found.tags))
