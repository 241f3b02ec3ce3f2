"""Acceleration cases from task files: annotation lists joined with generation lists.

Both are JSON lists of objects, or JSON lines where the suffix is ``.jsonl``::

    {"prompt_id": 7, "prompt_context": "Make it at least 2x faster.", "difficulty": "hard",
     "target_file": "target.py", "baseline_file": "baseline.py"}
    {"prompt_id": 7, "candidate_file": "candidate.py"}

An annotation may name its own ``candidate_file``; then it needs no generation entry.

A mistake in one entry or one file becomes a case with its ``problem`` set and never touches the others: a run with a
mistake in it still judges everything else, and its records say what is wrong.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.acceleration.case import DEFAULT_MAX_QUALITY_LOSS, AccelerationCase
from bench.acceleration.freedom import OF_LEVEL
from bench.acceleration.quality_limits import QualityLimit
from bench.acceleration.tasks.caseid import CaseIds
from bench.acceleration.tasks.cost import Costs
from bench.acceleration.tasks.entry import ANNOTATION, GENERATION, Entry, EntryKind, read_entry
from bench.acceleration.tasks.taskfile import read_items
from bench.core.errors import RequirementProblem, TaskProblem
from bench.core.record import Json


@dataclass(slots=True)
class _Side:
    """All files of one kind: their entries by prompt id, and the files that could not be read."""

    kind: EntryKind
    entries: list[Entry] = field(default_factory=list)
    by_id: dict[str, list[Entry]] = field(default_factory=dict)
    broken: list[tuple[Path, str]] = field(default_factory=list)

    def read(self, files: Iterable[Path]) -> None:
        # A file named twice is one file, not a list of duplicates.
        for file in dict.fromkeys(Path(file).absolute() for file in files):
            try:
                items = read_items(file)
            except TaskProblem as problem:
                self.broken.append((file, str(problem)))
                continue
            for place, value in items:
                entry = read_entry(self.kind, file, place, value)
                self.entries.append(entry)
                if entry.key is not None:
                    self.by_id.setdefault(entry.key, []).append(entry)

    def missing(self, entry: Entry) -> str:
        """Return why an entry of the other side has no partner here."""
        note = ""
        if self.broken:
            names = ", ".join(file.name for file, _ in self.broken)
            note = f" (note that {names} could not be read)"
        own = "" if self.kind is ANNOTATION else ", or a candidate_file in this entry"
        return (
            f"no {self.kind.name} entry has the prompt_id {entry.shown_id}{note}; expected exactly one{own}; "
            f"add it to a file given with {self.kind.option}, or remove this entry"
        )


def load_cases(
    tasks: Sequence[Path],
    candidates: Sequence[Path],
    *,
    default_max_quality_loss: float = DEFAULT_MAX_QUALITY_LOSS,
    metrics: tuple[str, ...] = (),
    prompts_problem: Callable[[Path], str | None] = lambda _: None,
    quality_problem: Callable[[QualityLimit], str | None] = lambda _: None,
) -> list[AccelerationCase]:
    """Read annotation and generation lists into cases, in the order of the annotations.

    Prompt ids are joined by their text, so ``7`` and ``"7"`` are the same id, and both in one list are
    duplicates. Every entry of either side is in at least one case. An entry that cannot be evaluated
    (invalid, duplicated, on one side only) and a file that cannot be read become cases with ``problem`` set.

    Args:
        tasks: annotation lists.
        candidates: generation lists.
        default_max_quality_loss: for annotations that name none.
        metrics: names of what will be measured.
        prompts_problem: says what is wrong with the prompts of a task.
        quality_problem: says why a limit of a metric cannot be judged in this run.
    """
    annotations, generations = _Side(ANNOTATION), _Side(GENERATION)
    annotations.read(tasks)
    generations.read(candidates)
    builder = _Builder(default_max_quality_loss, metrics, prompts_problem, quality_problem)
    for file, problem in annotations.broken:
        builder.add_file("tasks", file, problem)
    for entry in annotations.entries:
        if entry.key is None:
            builder.add(entry, None, [])
            continue
        same, partners = annotations.by_id[entry.key], generations.by_id.get(entry.key, [])
        problems = _join_problems(entry, same, partners, generations)
        position = next(index for index, other in enumerate(same) if other is entry)
        # With n entries on one side and m on the other, max(n, m) cases hold each of them at least once.
        last = position == len(same) - 1
        chosen = (
            partners[position:] if last and len(partners) > position else partners[position : position + 1]
        )
        for partner in chosen or partners[-1:]:
            builder.add(entry, partner, problems)
        if not partners:
            builder.add(entry, None, problems)
    for file, problem in generations.broken:
        builder.add_file("candidates", file, problem)
    for entry in generations.entries:
        if entry.key is None:
            builder.add(None, entry, [])
        elif entry.key not in annotations.by_id:
            problems = [annotations.missing(entry), *_duplicates(entry, generations.by_id[entry.key])]
            builder.add(None, entry, problems)
    return builder.cases


def _join_problems(entry: Entry, same: list[Entry], partners: list[Entry], side: _Side) -> list[str]:
    if partners:
        return [
            *_duplicates(entry, same),
            *_duplicates(partners[0], partners),
            *_two_candidates(entry, partners),
        ]
    alone = (
        [] if "candidate_file" in entry.values or "candidate_file" in entry.faulty else [side.missing(entry)]
    )
    return alone + _duplicates(entry, same)


def _two_candidates(entry: Entry, partners: list[Entry]) -> list[str]:
    """Say where an annotation and a generation name different candidates."""
    own = entry.values.get("candidate_file")
    others = [(other, other.values.get("candidate_file")) for other in partners]
    return [
        f"the candidate_file {str(own)!r} differs from {str(named)!r} of {other.place_text}; expected one candidate; "
        "remove one of the two"
        for other, named in others
        if None not in (own, named) and own != named
    ][:1]


def _duplicates(entry: Entry, same: list[Entry]) -> list[str]:
    if len(same) < 2:
        return []
    places = ", ".join(other.place_text for other in same[:5]) + (", ..." if len(same) > 5 else "")
    return [
        f"the prompt_id {entry.shown_id} occurs {len(same)} times ({places}); expected once in all "
        f"{entry.kind.name} lists together; rename or remove all but one"
    ]


# What a field of an annotation says, the text may say too.
_DEMANDED = {
    "required_speedup": "speedup", "max_latency_s": "latency_s", "max_quality_loss": "quality_loss",
    "max_memory_gb": "memory_gb",
}  # fmt: skip


def _demands(text: str, known: Collection[str]) -> Json:
    """Return what a text asks for, by field of `Demands`.

    Raises:
        RequirementProblem: as `read_demands`.
    """
    if not text:
        return {}
    from bench.acceleration.requirement.demands import read_demands  # noqa: PLC0415  compiles many patterns

    return asdict(read_demands(text, known))


def _overruled(values: Json, elsewhere: Iterable[tuple[str, float, str]]) -> tuple[str, ...]:
    """Return what a text asks for and a field of its annotation asks for otherwise."""
    keys = {name: key for key, name in _DEMANDED.items()}
    return tuple(
        f"{words} of the text is overruled by {keys[name]} {values[keys[name]]:g}; leave one of the two"
        for name, value, words in elsewhere
        if isinstance(values.get(keys[name]), int | float)
        and not math.isclose(value, values[keys[name]], rel_tol=1e-6)
    )


class _Builder:
    """Makes the cases one after the other."""

    def __init__(
        self,
        default_max_quality_loss: float,
        metrics: tuple[str, ...],
        prompts_problem: Callable[[Path], str | None],
        quality_problem: Callable[[QualityLimit], str | None],
    ) -> None:
        self.cases: list[AccelerationCase] = []
        self.default_max_quality_loss, self.metrics = default_max_quality_loss, metrics
        self.prompts_problem = functools.cache(prompts_problem)
        self.quality_problem = quality_problem
        self.ids = CaseIds()
        self.costs = Costs()

    def add_file(self, role: str, file: Path, problem: str) -> None:
        order = len(self.cases)
        case_id = self.ids.for_file(role, file)
        self.cases.append(
            AccelerationCase(
                id=case_id, prompt_id=None, problem=problem, order=order, cost=0.0, metrics=self.metrics
            )
        )

    def add(self, annotation: Entry | None, generation: Entry | None, join_problems: list[str]) -> None:
        entry = annotation or generation
        assert entry is not None
        values: Json = dict(annotation.values) if annotation else {}
        candidate = generation.values.get("candidate_file") if generation else values.get("candidate_file")
        problems = [
            *(
                f"{side.place_text}: {problem}"
                for side in (annotation, generation)
                if side
                for problem in side.problems
            ),
            *(f"{entry.place_text}: {problem}" for problem in join_problems),
        ]
        text = values.get("prompt_context", "")
        known = [
            name for key, name in _DEMANDED.items() if values.get(key) is not None or key in entry.faulty
        ]
        asked_for: Json = {}
        try:
            asked_for = _demands(text, known)
        except RequirementProblem as problem:
            problems.append(f"{entry.place_text}: prompt_context: {problem}")
        prompts = values.get("prompts_file")
        if prompts is not None and (wrong := self.prompts_problem(prompts)) is not None:
            problems.append(f"{entry.place_text}: prompts_file: {wrong}")
        problems += [
            f"{entry.place_text}: quality: {wrong}"
            for limit in values.get("quality", ())
            if (wrong := self.quality_problem(limit)) is not None
        ]
        for key, name in _DEMANDED.items():
            asked = asked_for.get(name)
            if asked is not None and name not in known:
                values[key] = asked
        difficulty = values.get("difficulty", "medium")
        expect = values.get("expect")
        target = values.get("target_file")
        self.cases.append(
            AccelerationCase(
                id=self.ids.for_entry(difficulty, target, entry.prompt_id, entry.place),
                prompt_id=entry.prompt_id,
                prompt_context=text,
                difficulty=difficulty,
                level=values.get("level"),
                target_file=target,
                baseline_file=values.get("baseline_file"),
                candidate_file=candidate,
                prompts_file=prompts,
                required_speedup=values.get("required_speedup"),
                max_quality_loss=values.get("max_quality_loss", self.default_max_quality_loss),
                quality=values.get("quality", ()),
                max_latency_s=values.get("max_latency_s"),
                max_memory_gb=values.get("max_memory_gb"),
                unread_demands=asked_for.get("unread", ()),
                overruled_demands=_overruled(values, asked_for.get("elsewhere", ())),
                expect=expect,
                free=(*OF_LEVEL[values.get("level")], *values.get("free", ())),
                required_methods=values.get("methods", ()),
                requires=values.get("requires", ()),
                problem="; also: ".join(problems) or None,
                order=len(self.cases),
                metrics=self.metrics,
                cost=0.0
                if problems
                else self.costs.of(
                    values.get("baseline_file"),
                    candidate,
                    expect,
                    compiles="compiler" in values.get("requires", ()),
                ),
            )
        )
