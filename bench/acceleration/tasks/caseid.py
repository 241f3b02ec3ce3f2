"""Ids of acceleration cases: ``difficulty-model-method-number``, readable and safe to select by.

An id is made of ``a-z 0-9 _ . +``, with a dash only between the four fields. ``pytest -k hard`` must select
the hard tasks and nothing else, so inside the other fields a difficulty is written with an underscore in
the place of its first vowel: a model called ``hardware`` becomes ``h_rdware``.
"""

from __future__ import annotations

import re
from pathlib import Path

from bench.acceleration.source.reading import SourceReading, read_source
from bench.core.errors import SourceProblem

MAX_FIELD = 60
NOT_IN_FIELDS = {"hard": "h_rd", "easy": "e_sy", "medium": "m_dium"}
_NOT_ALLOWED = re.compile(r"[^a-z0-9_.+]+")


class CaseIds:
    """Makes ids, each once. Every target file is read once."""

    def __init__(self) -> None:
        self._given: set[str] = set()
        self._described: dict[Path, tuple[str, str]] = {}

    def for_entry(self, difficulty: str, target: Path | None, prompt_id: int | str | None, place: str) -> str:
        """Return the id of an entry; without a readable target, model and method are ``unknown``."""
        model, method = self._describe(target)
        number = slug(str(place if prompt_id is None else prompt_id), "id")
        return self._unique(f"{difficulty}-{model}-{method}-{number}")

    def for_file(self, role: str, file: Path) -> str:
        """Return the id of a task file that cannot be read, such as ``medium-tasks-file-anno-0``."""
        return self._unique(f"medium-{role}-file-{slug(file.stem, 'file')}-{len(self._given)}")

    def _unique(self, wanted: str) -> str:
        chosen, count = wanted, 1
        while chosen in self._given:
            count += 1
            chosen = f"{wanted}_{count}"
        self._given.add(chosen)
        return chosen

    def _describe(self, target: Path | None) -> tuple[str, str]:
        if target is None:
            return "unknown", "unknown"
        if target not in self._described:
            try:
                reading = read_source(target)
            except SourceProblem:
                self._described[target] = "unknown", "unknown"
            else:
                self._described[target] = model_name(reading), method_name(reading)
        return self._described[target]


def model_name(reading: SourceReading) -> str:
    """Return the model's part of an id: ``stable_diffusion_v1_5`` for ``runwayml/stable-diffusion-v1-5``."""
    last_part = re.split(r"[/\\]", (reading.model_id or "").rstrip("/\\"))[-1]
    return slug(last_part, "unknown")


def method_name(reading: SourceReading) -> str:
    """Return the method's part: ``deepcache+tome``, else the scheduler such as ``dpmsolver``, else ``plain``."""
    if reading.methods:
        return slug("+".join(sorted(reading.methods)), "plain")
    name = (reading.scheduler_class or "").removesuffix("Scheduler")
    for ending in ("Multistep", "Discrete"):
        name = name.removesuffix(ending)
    return slug(name, "plain")


def slug(text: str, otherwise: str) -> str:
    """Return one field of an id; ``otherwise`` where nothing of the text is left."""
    made = _NOT_ALLOWED.sub("_", text.lower())[:MAX_FIELD].strip("_")
    for word, written in NOT_IN_FIELDS.items():
        made = made.replace(word, written)
    return made or otherwise
