"""Prompts of a run: a column of a dataset, local or from the hub, what comes with each, and the samples drawn from it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.acceleration.inputs import CLASS_LABEL, Inputs
from bench.acceleration.prompt_files import COLUMNS, SUFFIXES, column_of, read_prompt_file
from bench.acceleration.prompt_inputs import InputTable, find_inputs
from bench.core.errors import UsageProblem
from bench.core.names import listed
from bench.core.record import Json
from bench.core.row_files import load


@dataclass(frozen=True, slots=True)
class Sample:
    """One image to make: the prompt, the seed of its generator, and what else it is made from.

    With a class label the prompt is its text: the pipeline gets the label, and the CLIP score the text.

    Attributes:
        prompt: the prompt.
        seed: of the image's generator.
        inputs: what comes with the prompt.
        source: the file of the prompts, for messages.
        row: in it, from 0, likewise.
    """

    prompt: str
    seed: int
    inputs: Inputs = field(default_factory=Inputs)
    source: str = field(default="", compare=False)
    row: int | None = field(default=None, compare=False)

    def shown(self) -> Json:
        """Return it as a row of predictions holds it, with the names of files."""
        return {"prompt": self.prompt, "seed": self.seed, **self.inputs.shown()}

    def identity(self) -> Json:
        """Return what determines it, files by their content."""
        return {"prompt": self.prompt, "seed": self.seed, "inputs": self.inputs.identity()}

    def to_json(self) -> Json:
        """Return it as plain builtins."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Json) -> Sample:
        """Return what plain builtins hold."""
        return cls(**{**data, "inputs": Inputs(**data["inputs"])})


@dataclass(frozen=True)
class SampleStream:
    """The samples of a run, without end: the drawn ones decide on quality, all further ones only serve the timing.

    A further sample repeats a prompt with a new seed, so that no timed round repeats an image.

    Attributes:
        drawn: the samples on which quality is decided.
        run_seed: seed of the run.
    """

    drawn: tuple[Sample, ...]
    run_seed: int

    def __len__(self) -> int:
        """Return the number of samples on which quality is decided."""
        return len(self.drawn)

    def at(self, index: int) -> Sample:
        """Return the sample of any index from 0."""
        if index < len(self.drawn):
            return self.drawn[index]
        return replace(self.drawn[index % len(self.drawn)], seed=generator_seed(self.run_seed, index))

    def take(self, indices: Sequence[int]) -> list[Sample]:
        """Return the samples of these indices."""
        return [self.at(index) for index in indices]


NAME_A_COLUMN = "name one with --prompts-column, or add a header with one of these"


@dataclass(frozen=True)
class PromptTable:
    """The prompts of a file, and what comes with each.

    Attributes:
        prompts: one per row.
        inputs: of the same rows.
    """

    prompts: Sequence[str]
    inputs: InputTable = field(default_factory=lambda: InputTable(""))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.prompts)


def load_prompts(
    source: str,
    *,
    split: str | None = None,
    column: str | None = None,
    inputs: Sequence[str] = (),
    advice: str = NAME_A_COLUMN,
) -> PromptTable:
    """Return the prompts of a dataset, one per row; of a row with several captions the first.

    Args:
        source: a file as `bench.acceleration.prompt_files` reads it, a directory that ``datasets`` saved or can load, or
            a hub name.
        split: which split; without it the only one, else ``test``, ``validation`` or ``train``.
        column: which column; without it the first of `bench.acceleration.prompt_files.COLUMNS` that exists.
        inputs: which inputs come with them, as `bench.acceleration.prompt_inputs.find_inputs` takes it.
        advice: what to do where no column has one of the usual names.

    Raises:
        UsageProblem: when nothing can be loaded, or there is no such split, column or prompt.
    """
    rows = _rows(source, split, column)
    found = find_inputs(source, rows, inputs)
    if column is None:
        column = column_of(rows.column_names, COLUMNS)
    if column is None and CLASS_LABEL in found.cells:
        raise UsageProblem(
            f"--prompts {source}: found class labels in {found.places[CLASS_LABEL]} without their texts, which the CLIP "
            "score compares the images with; expected a column prompt next to it; add one with what each label stands for"
        )
    if column not in rows.column_names:
        raise UsageProblem(
            f"--prompts {source}: found the columns {listed(rows.column_names)}, expected "
            f"{column or ' or '.join(COLUMNS)}; {advice}"
        )
    prompts = [_first_caption(value) for value in rows[column]]
    half = next((index for index, prompt in enumerate(prompts) if not _is_whole(prompt)), None)
    if half is not None:
        raise UsageProblem(
            f"--prompts {source}: row {half} has half of a character in column {column!r}, {ascii(prompts[half])[:60]}; "
            "expected whole ones; remove it, or write the file again"
        )
    bad = next((index for index, prompt in enumerate(prompts) if not prompt), None)
    if bad is not None:
        raise UsageProblem(
            f"--prompts {source}: row {bad} has no text in column {column!r} (found {rows[column][bad]!r}); "
            "remove it or choose another column"
        )
    if not prompts:
        raise UsageProblem(f"--prompts {source}: it has no rows; expected at least one prompt")
    return PromptTable(prompts, found)


def draw_samples(
    table: PromptTable, count: int, seed: int, *, keep: Path | None = None, one_size: bool = True
) -> list[Sample]:
    """Draw prompts without replacement in a seeded order, each with a generator seed of its own.

    Args:
        table: the prompts.
        count: how many.
        seed: of the run.
        keep: folder for images that the rows hold themselves.
        one_size: whether all images must have one size.

    Raises:
        UsageProblem: when there are fewer prompts than samples, or inputs of a drawn row cannot be used.
    """
    _require_enough(table, count)
    order = random.Random(seed).sample(range(len(table)), count)
    table.inputs.check(sorted(order), one_size=one_size)
    return [
        Sample(
            table.prompts[row],
            generator_seed(seed, index),
            table.inputs.at(row, keep),
            table.inputs.source,
            row,
        )
        for index, row in enumerate(order)
    ]


def _require_enough(table: PromptTable, count: int) -> None:
    if count > len(table):
        raise UsageProblem(
            f"--num-samples {count}: the prompts have only {len(table)} rows; "
            f"lower it to {len(table)} or less, or give more prompts"
        )


def generator_seed(run_seed: int, index: int) -> int:
    """Return the seed of the generator of the sample at an index, in [0, 2**31)."""
    digest = hashlib.sha256(f"{run_seed}:{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def check_prompts(
    source: str,
    *,
    split: str | None,
    column: str | None,
    count: int,
    inputs: Sequence[str] = (),
    one_size: bool = True,
    advice: str = NAME_A_COLUMN,
) -> None:
    """Refuse prompts that no run could use, as far as that can be seen without loading a folder or asking the hub.

    Raises:
        UsageProblem: a local file without such a column, enough prompts or inputs that can be used; a path that leads
            nowhere, an empty folder.
    """
    path = Path(source)
    if path.is_dir():
        if not any(path.iterdir()):
            raise UsageProblem(f"--prompts {source}: the folder is empty; expected files of rows; add them")
    elif path.exists() or _looks_local(source):
        table = load_prompts(source, split=split, column=column, inputs=inputs, advice=advice)
        _require_enough(table, count)
        table.inputs.check(range(len(table)), one_size=one_size)


def named_files(source: str) -> list[Path]:
    """Return the files that a local file of prompts names or that lie next to it for its rows; none where it is unusable."""
    if not Path(source).is_file():
        return []  # a folder is known by its content, and a hub name by itself
    try:
        return find_inputs(source, _rows(source, None)).files()
    except UsageProblem:  # the check of the run will say so
        return []


def _looks_local(source: str) -> bool:
    return Path(source).suffix.lower() in SUFFIXES or source.startswith((".", "/", "~"))


def _rows(source: str, split: str | None, column: str | None = None) -> Any:
    def problem(message: str) -> UsageProblem:
        return UsageProblem(f"--prompts {message}")

    path = Path(source)
    if path.exists() and not path.is_dir():
        rows = read_prompt_file(path, problem, column)
        if split not in (None, "train"):
            raise UsageProblem(
                f"--prompts {source}: found the splits train, expected {split!r}; a file has no splits; "
                "leave out --prompts-split"
            )
        return rows
    if not path.exists() and _looks_local(source):
        raise UsageProblem(f"--prompts {source}: no such file or directory; give a path or a hub name")
    loaded = load(source, problem)
    if not hasattr(loaded, "keys"):
        if split not in (None, str(loaded.split)):
            raise UsageProblem(
                f"--prompts {source}: found one dataset without splits, expected {split!r}; "
                "leave out --prompts-split"
            )
        return loaded
    if split is None:
        split = next(
            (name for name in ("test", "validation", "train") if name in loaded), next(iter(loaded), None)
        )
    if split not in loaded:
        raise UsageProblem(
            f"--prompts {source}: found the splits {', '.join(loaded) or 'none'}, expected {split!r}; "
            "name one with --prompts-split"
        )
    return loaded[split]


def _is_whole(prompt: str) -> bool:
    """Whether a text can be written to a file; JSON may hold one of the two codes that UTF-16 has for an emoji."""
    return prompt.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in prompt)


def _first_caption(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        value = value[0] if value else ""
    return value.strip() if isinstance(value, str) else ""
