"""One entry of a task file: which fields it may have, what they may hold, and what is wrong with it."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.acceleration.case import DIFFICULTIES, LEVELS
from bench.acceleration.detectors.shipped import METHODS
from bench.acceleration.freedom import require_free_name
from bench.acceleration.quality_limits import QualityLimit, read_limits
from bench.acceleration.requirement.limits import MAX_SPEEDUP
from bench.acceleration.tasks.near_keys import near_miss, stand_in
from bench.acceleration.tasks.taskfile import RepeatingObject, Unreadable, describe
from bench.core.record import Json

# Reason codes that a candidate can bring about, so that a control can be written for them.
EXPECTABLE_CODES = (
    "config_mismatch",
    "method_without_effect",
    "images_differ_from_target",
    "images_degraded",
    "quality_lost",
    "degenerate_output",
    "latency_missed",
    "memory_missed",
    "speedup_missed",
    "quality_undecided",
    "latency_undecided",
    "speedup_undecided",
    "load_failed",
    "generation_failed",
    "crashed",
    "out_of_memory",
    "timed_out",
    "output_flood",
    "out_of_turn",
)
REQUIREMENTS = ("compiler", "cuda")
ALIASES = {"gt_file": "target_file", "gen_file": "candidate_file"}
_SHOWN_ID = 80  # characters of an id in a message
Reader = Callable[[Any, Path], Any]


@dataclass(frozen=True)
class EntryKind:
    """What distinguishes annotations from generations: a name, an option and the fields."""

    name: str
    option: str
    readers: Mapping[str, Reader]
    required: tuple[str, ...]

    @functools.cached_property
    def known_keys(self) -> frozenset[str]:
        """Every key that is read, other names included."""
        return frozenset(self.readers) | {alias for alias, name in ALIASES.items() if name in self.readers}


@dataclass(slots=True)
class Entry:
    """An entry as far as it could be read.

    Attributes:
        place: ``entry [3]`` or ``line 4`` of its file.
        prompt_id: as written, None where it is missing or invalid.
        values: the valid fields that are given, paths absolute.
        faulty: names of the fields that are given and invalid.
        problems: what is wrong, each a message of its own.
    """

    kind: EntryKind
    file: Path
    place: str
    prompt_id: int | str | None = None
    values: Json = field(default_factory=dict)
    faulty: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    @property
    def key(self) -> str | None:
        """What entries are joined by: the text of the prompt id."""
        return None if self.prompt_id is None else str(self.prompt_id)

    @property
    def shown_id(self) -> str:
        """The prompt id as messages show it."""
        text = repr(self.prompt_id)
        return text if len(text) <= _SHOWN_ID else f"{text[:_SHOWN_ID]}..."

    @property
    def place_text(self) -> str:
        """File, place and prompt id, for a message."""
        named = "" if self.prompt_id is None else f" (prompt_id {self.shown_id})"
        return f"{self.file.name}, {self.place}{named}"


def read_entry(kind: EntryKind, file: Path, place: str, item: Any) -> Entry:
    """Check one item of a file; what is wrong with it is collected, nothing is raised."""
    entry = Entry(kind, file, place)
    if isinstance(item, Unreadable):
        entry.problems.append(f"this is not JSON ({item}); expected one object to a line; correct it")
        return entry
    if not isinstance(item, dict):
        entry.problems.append(f"this is {describe(item)}; expected an object with a prompt_id; correct it")
        return entry
    if isinstance(item, RepeatingObject):
        entry.problems.append(
            f"{', '.join(item.repeated)} given more than once; expected each key once; keep one"
        )
    given = _with_real_names(entry, item)
    for name, reader in kind.readers.items():
        value = given.get(name)
        if value is None:
            if name in kind.required:
                found = "is null" if name in given else "is missing"
                meant = _meant_by(kind, name, given)
                advice = "add it" if meant is None else f"rename the key {meant!r}"
                entry.problems.append(f"{name} {found}; expected {EXPECTED[name]}; {advice}")
            continue
        try:
            entry.values[name] = reader(value, file.parent)
        except ValueError as error:
            entry.faulty.add(name)
            entry.problems.append(f"{name} is {describe(value)}; {error}")
    entry.prompt_id = entry.values.pop("prompt_id", None)
    return entry


def _with_real_names(entry: Entry, item: Json) -> Json:
    """Return the item with aliases undone; conflicts and near misses become problems."""
    given: Json = {}
    for key, value in item.items():
        name = ALIASES.get(key, key) if key in entry.kind.known_keys else key
        if name in given and given[name] != value:
            other = next(alias for alias, real in ALIASES.items() if real == name)
            entry.problems.append(
                f"{name} and {other} differ ({describe(given[name])} and {describe(value)}); "
                f"expected one of these two names for the same field; keep {name}"
            )
        given.setdefault(name, value)
        meant = None if key in entry.kind.known_keys else _near_miss(key, entry.kind)
        if meant is not None:
            entry.problems.append(
                f"the key {key!r} is unknown and close to {meant!r}; expected {meant!r}, or a name unlike it for a note; "
                "rename it"
            )
    return given


def _near_miss(key: str, kind: EntryKind) -> str | None:
    return near_miss(key, kind.known_keys, ANNOTATION.known_keys | GENERATION.known_keys)


def _meant_by(kind: EntryKind, name: str, given: Json) -> str | None:
    """Return the key that stands for a missing field."""
    near = ((key, _near_miss(key, kind) or "") for key in given)
    misspelled = next((key for key, field in near if ALIASES.get(field, field) == name), None)
    return misspelled or stand_in(name, given, kind.known_keys)


def _prompt_id(value: Any, _: Path) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).strip():
        raise ValueError("expected an integer or a text that is not empty; correct it")
    return value


def _text(value: Any, _: Path) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a text; put it in quotes")
    return value


def _one_of(choices: tuple[str, ...], value: Any, hint: str = "") -> str:
    chosen = value.strip() if isinstance(value, str) else None
    for choice in choices:
        if chosen is not None and choice.lower() == chosen.lower():
            return choice
    raise ValueError(f"expected one of {', '.join(choices)}{hint}; correct it")


def _level(value: Any, _: Path) -> str:
    if not isinstance(value, bool) and (isinstance(value, int) or value in tuple("12345")):
        value = f"L{value}"
    return _one_of(LEVELS, value, ", or 1 to 5")


def _some_of(choices: Iterable[str]) -> Reader:
    def read(value: Any, _: Path) -> tuple[str, ...]:
        names = tuple(sorted(choices))  # sorted now: users' files may have registered more since
        if not isinstance(value, list):
            raise ValueError(f"expected a list of names from {', '.join(names)}; put it in [ ]")
        return tuple(dict.fromkeys(_one_of(names, item) for item in value))

    return read


def _free(value: Any, _: Path) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("expected a list of names, such as methods or arguments.eta; put it in [ ]")
    return tuple(dict.fromkeys(require_free_name(name) for name in value))


def _number(limit: str, holds: Callable[[float], bool]) -> Reader:
    def read(value: Any, _: Path) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"expected a number {limit}; write it without quotes or unit")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not (math.isfinite(number) and holds(number)):
            raise ValueError(f"expected a number {limit}; correct it")
        return number

    return read


def _path(what: str, of: str, holds: Callable[[Path], bool]) -> Reader:
    """Return a reader of paths of which something holds, such as that they are files."""

    def read(value: Any, folder: Path) -> Path:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"expected the path of {what}; correct it")
        head, name = os.path.split(value)
        path = Path(_real_folder(str(folder), head), name)
        try:
            if holds(path):
                return path
            found = "that is a directory" if path.is_dir() else "there is no such file"
            if path.exists() and not path.is_dir():
                found = "that is no regular file"
        except (OSError, ValueError) as error:
            found = f"that cannot be a path ({getattr(error, 'strerror', None) or error})"
        raise ValueError(
            f"{found} ({str(path)[:200]!r}); expected {of}, relative to the file that names it; correct the path"
        )

    return read


def _quality(value: Any, _: Path) -> tuple[QualityLimit, ...]:
    from bench.acceleration.known_metrics import known_metrics  # noqa: PLC0415  loads numpy, which few lists need

    return read_limits(value, known_metrics())


_file = _path("a Python file", "a Python file", Path.is_file)
_prompts = _path("prompts", "a file or folder of prompts", Path.exists)


@functools.lru_cache(maxsize=4_096)
def _real_folder(base: str, folder: str) -> str:
    """Return the folder without ``..`` and links; most entries share one, and following links is slow."""
    try:
        return os.path.realpath(os.path.join(base, folder))
    except (OSError, ValueError):
        return os.path.join(base, folder)


_PATH = "the path of a Python file"
EXPECTED = {
    "prompt_id": "an integer or a text",
    "prompt_context": "the text of the task",
    "difficulty": ", ".join(DIFFICULTIES),
    "target_file": _PATH,
    "baseline_file": _PATH,
    "candidate_file": _PATH,
}
ANNOTATION = EntryKind(
    "annotation",
    "--tasks",
    {
        "prompt_id": _prompt_id,
        "prompt_context": _text,
        "difficulty": lambda value, _: _one_of(DIFFICULTIES, value),
        "level": _level,
        "target_file": _file,
        "baseline_file": _file,
        "candidate_file": _file,
        "prompts_file": _prompts,
        "required_speedup": _number(f"above 0 and at most {MAX_SPEEDUP:.0f}", lambda v: 0 < v <= MAX_SPEEDUP),
        "max_quality_loss": _number("from 0 to below 1, where 0.05 is 5 %", lambda v: 0 <= v < 1),
        "quality": _quality,
        "max_latency_s": _number("of seconds above 0", lambda v: v > 0),
        "max_memory_gb": _number("of gigabytes above 0", lambda v: v > 0),
        "expect": lambda value, _: _one_of(EXPECTABLE_CODES, value),
        "requires": _some_of(REQUIREMENTS),
        "methods": _some_of(METHODS),
        "free": _free,
    },
    ("prompt_id", "prompt_context", "difficulty", "target_file", "baseline_file"),
)
GENERATION = EntryKind(
    "generation",
    "--candidates",
    {"prompt_id": _prompt_id, "candidate_file": _file},
    ("prompt_id", "candidate_file"),
)
