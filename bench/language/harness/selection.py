"""What a run asks of lm-evaluation-harness: its tasks with their whole configuration, and the groups above them."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.core.errors import UsageProblem
from bench.core.registry import no_such
from bench.language.harness.index import IndexEntry, read_config

# What a group says of itself; everything else in it is for its tasks.
_OF_GROUP = {"group", "group_alias", "task", "aggregate_metric_list", "metadata"}
# What is of no concern to a task.
_STRUCTURE = ("tag", "group", "task_list")


@dataclass(frozen=True)
class HarnessTask:
    """One task of lm-evaluation-harness.

    Attributes:
        name: of the task; for one that a group declares itself, ``group::name``.
        config: everything that its YAML file and the groups around it say.
        source: the YAML file.
    """

    name: str
    config: Mapping[str, Any]
    source: Path

    @property
    def version(self) -> str:
        """Its version as lm-evaluation-harness shows it."""
        metadata = self.config.get("metadata")
        version = metadata.get("version") if isinstance(metadata, dict) else None
        return "Yaml" if version is None else f"{version}"

    @property
    def protocol(self) -> str:
        """What makes its score comparable: name and version."""
        return f"lm-eval:{self.name}@{self.version}"


@dataclass(frozen=True)
class Aggregate:
    """A metric that a group combines from its tasks.

    Attributes:
        metric: of the tasks.
        filters: names of filters; None is all that the tasks have.
        weighted: by the number of documents, or each task the same.
    """

    metric: str
    filters: tuple[str, ...] | None = None
    weighted: bool = True


@dataclass(frozen=True)
class HarnessGroup:
    """A group of tasks with one score.

    Attributes:
        name: of the group; for one that another group declares itself, ``other::name``.
        tasks: names of all tasks in it and in the groups in it.
        aggregates: what is combined.
        version: as its YAML file says.
    """

    name: str
    tasks: tuple[str, ...]
    aggregates: tuple[Aggregate, ...]
    version: str = "N/A"

    @property
    def protocol(self) -> str:
        """What makes its score comparable: name and version."""
        return f"lm-eval:{self.name}@{self.version}"


@dataclass
class Selection:
    """The tasks of a run, and the groups that have a score.

    Attributes:
        tasks: by name, in the order in which they are asked for.
        groups: by name, likewise; those without a score are left out, as in lm-evaluation-harness.
    """

    tasks: dict[str, HarnessTask] = field(default_factory=dict)
    groups: dict[str, HarnessGroup] = field(default_factory=dict)

    def __contains__(self, name: object) -> bool:
        """Whether a task or a group has this name."""
        return name in self.tasks or name in self.groups


def select(
    names: Sequence[str], index: Mapping[str, IndexEntry], num_fewshot: int | None = None
) -> Selection:
    """Return what names ask for.

    Args:
        names: of tasks, groups and tags, with ``*`` and ``?`` as in file names, or paths of YAML files.
        index: what can be asked for.
        num_fewshot: examples of every task that does not say that it has none.

    Raises:
        UsageProblem: an unknown name, a file that cannot be read, or a task in two forms.
    """
    made = _Selecting(index, num_fewshot)
    for name in _matching(names, index):
        if name in index:
            made.add(index[name], {})
        else:
            made.add_file(Path(name).resolve())
    return made.selection


def _matching(names: Iterable[str], index: Mapping[str, IndexEntry]) -> list[str]:
    found: list[str] = []
    for name in names:
        if name in index or (name.endswith((".yaml", ".yml")) and Path(name).is_file()):
            found.append(name)
            continue
        fitting = sorted(fnmatch.filter(index, name)) if set("*?[") & set(name) else []
        if not fitting:
            raise UsageProblem(
                f"--lm-eval-tasks {name}: {no_such('task, group or tag of lm-evaluation-harness', name, index)}; "
                "correct the name, or name the folder of your own YAML files with --lm-eval-include"
            )
        found += fitting
    return list(dict.fromkeys(found))


class _Selecting:
    """Collects tasks and groups, following groups and tags down to tasks, as lm-evaluation-harness does."""

    def __init__(self, index: Mapping[str, IndexEntry], num_fewshot: int | None) -> None:
        self._index, self._num_fewshot = index, num_fewshot
        self.selection = Selection()
        self._within: list[str] = []

    def add(self, entry: IndexEntry, overrides: Mapping[str, Any]) -> list[str]:
        """Add what an entry stands for; return the names of its tasks."""
        if entry.kind == "tag":
            return [name for one in entry.members for name in self.add(self._index[one], overrides)]
        path = Path(entry.file)
        config = read_config(path)
        if entry.kind == "group":
            return self._group(entry.name, config, overrides, path)
        return [self._task(entry.name, {**config, **overrides}, path)]

    def add_file(self, path: Path) -> None:
        """Add what a YAML file declares.

        Raises:
            UsageProblem: a file that declares neither a task nor a group.
        """
        config = read_config(path)
        name = config.get("task") if "class" in config or "group" not in config else config["group"]
        if not isinstance(name, str):
            raise UsageProblem(
                f"--lm-eval-tasks {path}: found neither `task` nor `group`, expected the name of one of them; add it"
            )
        kind = "group" if "group" in config and "class" not in config else "task"
        if kind == "group":
            self._group(name, config, {}, path)
        else:
            self._task(name, config, path)

    def _task(self, name: str, config: dict[str, Any], path: Path) -> str:
        own = {key: value for key, value in config.items() if key not in _STRUCTURE}
        own["task"] = name
        if self._num_fewshot is not None and own.get("num_fewshot") != 0:
            own["num_fewshot"] = self._num_fewshot
        task = HarnessTask(name, own, path)
        taken = self.selection.tasks.setdefault(name, task)
        if taken.config != task.config:
            keys = [key for key in {**taken.config, **own} if taken.config.get(key) != own.get(key)]
            raise UsageProblem(
                f"--lm-eval-tasks: found the task {name} twice with another {', '.join(sorted(keys))}, by itself and in a "
                "group or in two groups; expected it once; ask for one of them in a run of its own"
            )
        return name

    def _group(
        self, name: str, config: Mapping[str, Any], overrides: Mapping[str, Any], path: Path
    ) -> list[str]:
        if name in self._within:
            raise UsageProblem(f"{path}: found the group {name} within itself, expected it once; correct it")
        self._within.append(name)
        for_tasks = {key: value for key, value in config.items() if key not in _OF_GROUP} | dict(overrides)
        members = config.get("task") or []
        tasks: list[str] = []
        for member in members if isinstance(members, list) else [members]:
            tasks += self._member(name, member, for_tasks, path)
        self._within.pop()
        metadata = config.get("metadata")
        version = metadata.get("version", "N/A") if isinstance(metadata, dict) else "N/A"
        group = HarnessGroup(name, tuple(dict.fromkeys(tasks)), _aggregates(config), f"{version}")
        if group.aggregates and group.tasks:
            self.selection.groups[name] = group
        return tasks

    def _member(self, group: str, member: Any, overrides: Mapping[str, Any], path: Path) -> list[str]:
        if isinstance(member, str):
            member = {"task": member}
        if not isinstance(member, dict) or not ("task" in member or "group" in member):
            raise UsageProblem(
                f"{path}: found {member!r:.80} in the group {group}, expected the name of a task, group or tag, or a "
                "mapping with `task` or `group`; correct it"
            )
        if "group" in member:
            name = str(member["group"])
            if name in self._index:
                inner = {key: value for key, value in member.items() if key != "group"}
                return self.add(self._index[name], {**overrides, **inner})
            return self._group(f"{group}::{name}", member, overrides, path)
        name, own = str(member["task"]), {key: value for key, value in member.items() if key != "task"}
        if name not in self._index:
            if not own:
                raise UsageProblem(
                    f"{path}: {no_such('task, group or tag', name, self._index)}; correct the group {group}"
                )
            return [self._task(f"{group}::{name}", {**overrides, **own}, path)]
        return self.add(self._index[name], {**overrides, **own})


def _aggregates(config: Mapping[str, Any]) -> tuple[Aggregate, ...]:
    listed = config.get("aggregate_metric_list") or []
    made = []
    for one in listed if isinstance(listed, list) else [listed]:
        filters = one.get("filter_list")
        made.append(
            Aggregate(
                one["metric"],
                None if filters is None else ((filters,) if isinstance(filters, str) else tuple(filters)),
                bool(one.get("weight_by_size", True)),
            )
        )
    return tuple(made)
