"""Scored texts: rows, how one is tokenized, how several become a batch, and what makes a row unusable."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from bench.core import files
from bench.core.errors import TuningProblem
from bench.core.names import content_hash
from bench.regression.record import LeftOut
from bench.regression.scale import ScoreRange

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Split = Literal["train", "evaluation"]
Encoded = dict[str, Any]
MIN_ROWS = 2  # of a split


@dataclass(frozen=True, slots=True)
class ScoredText:
    """A text and its score.

    Attributes:
        key: names the row in tables; unique within a split.
        text: what is scored.
        score: on the task's range; None where it was never given.
        fields: categorical fields, such as the prompt that a text answers.
    """

    key: str
    text: str
    score: float | None
    fields: Mapping[str, str] = field(default_factory=dict)


class ScoredTexts:
    """A dataset of scored texts; subclasses give the rows and may change how they are encoded.

    Attributes:
        label: what a record says of the rows' origin; synthetic rows are called so.
        fields: names of the categorical fields that rows have, each an extra embedding of the model.
    """

    label: ClassVar[str] = ""
    fields: ClassVar[tuple[str, ...]] = ()

    def rows(self, split: Split) -> Iterable[ScoredText]:
        """Return the rows of a split."""
        raise NotImplementedError

    def encode(self, row: ScoredText, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Encoded:
        """Return the model's inputs of one row, lists of (tokens,), as `tokenizer(...)` gives them."""
        return dict(tokenizer(row.text, truncation=True, max_length=max_length))

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[Encoded]], Mapping[str, Any]]:
        """Return what makes a batch of encoded rows: padded to the longest of them, by default."""
        from bench.regression.collation import PaddingCollator  # noqa: PLC0415  imports torch

        return PaddingCollator(tokenizer)


@dataclass(frozen=True)
class Excluded:
    """Rows that were left out, and why.

    Attributes:
        counts: by reason.
        first: the key of the first of each reason.
    """

    counts: dict[str, int]
    first: dict[str, str]

    def to_record(self) -> LeftOut:
        """Return what a record says of them."""
        return LeftOut(rows=sum(self.counts.values()), reasons=dict(self.counts))

    def sentence(self, split: str) -> str | None:
        """Return what a record's warnings say, None where no row was left out."""
        if not self.counts:
            return None
        reasons = ", ".join(f"{count} {why} (first: {self.first[why]})" for why, count in self.counts.items())
        return f"{split} rows that were left out: {reasons}"


def read_split(dataset: ScoredTexts, split: Split, scores: ScoreRange) -> tuple[list[ScoredText], Excluded]:
    """Return the rows of a split that can be used, and what was left out.

    A score that was never given, is no number or lies outside the range is a fault of one row: the row is left out,
    counted and shown. A key that is missing or repeated, a text that is empty or a field that is missing is a fault of
    the dataset's code, which would join wrong rows: it ends the case.

    Raises:
        TuningProblem: ``data_failed``, such a fault, or fewer than two rows left.
    """
    try:
        rows = list(dataset.rows(split))
    except TuningProblem:
        raise
    except Exception as error:  # the user's code may raise anything
        raise _failed(split, f"rows() raised {type(error).__name__}: {error}; correct the dataset") from error
    seen: set[str] = set()
    used, counts, first = [], Counter[str](), dict[str, str]()
    for place, row in enumerate(rows):
        _check_row(row, place, split, seen, dataset.fields)
        why = _unusable(row.score, scores)
        if why is None:
            used.append(replace(row, score=float(row.score)))  # type: ignore[arg-type]
            continue
        counts[why] += 1
        first.setdefault(why, row.key)
    excluded = Excluded(dict(counts), first)
    if len(used) < MIN_ROWS:
        left_out = excluded.sentence(split) or "none was left out"
        raise _failed(
            split,
            f"found {len(used)} usable rows of {len(rows)}, expected at least {MIN_ROWS}; {left_out}; give more rows",
        )
    return used, excluded


def _check_row(row: Any, place: int, split: str, seen: set[str], fields: tuple[str, ...]) -> None:
    where = f"row {place}"
    if not isinstance(row, ScoredText):
        raise _failed(
            split, f"{where} is {type(row).__name__}, expected ScoredText(key, text, score); correct rows()"
        )
    if not isinstance(row.key, str) or not row.key:
        raise _failed(split, f"{where} has the key {row.key!r}, expected a text that names it; give it one")
    if row.key in seen:
        raise _failed(
            split, f"{where} has the key {row.key!r} of an earlier row, expected each key once; rename one"
        )
    seen.add(row.key)
    if not isinstance(row.text, str) or not row.text.strip():
        raise _failed(
            split, f"{row.key}: the text is {row.text!r}, expected one that is not empty; drop the row"
        )
    for name in fields:
        if not isinstance(row.fields.get(name), str):
            raise _failed(
                split, f"{row.key}: the field {name!r} is {row.fields.get(name)!r}, expected a text, since the "
                "dataset's `fields` name it; give every row one"
            )  # fmt: skip


def _unusable(score: Any, scores: ScoreRange) -> str | None:
    """Return why a row with this score cannot be used, None where it can."""
    if score is None:
        return "without a score"
    if isinstance(score, bool) or not isinstance(score, Real) or math.isnan(score):
        return "with a score that is no number"
    if not scores.contains(float(score)):
        return f"with a score outside {scores.low:g} to {scores.high:g}"
    return None


def _failed(split: str, message: str) -> TuningProblem:
    return _data_failed(f"{split} rows: {message}")


def data_hash(splits: Mapping[Split, list[ScoredText]]) -> str:
    """Return what identifies the rows by their content."""
    return content_hash({name: [asdict(row) for row in rows] for name, rows in splits.items()})


def vocabularies(rows: Iterable[ScoredText], fields: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return the index of each value of each field among training rows, from 1; 0 is a value never seen."""
    listed = list(rows)
    return {
        name: {value: index for index, value in enumerate(sorted({row.fields[name] for row in listed}), 1)}
        for name in fields
    }


def read_jsonl(
    file: Path, *, key: str = "key", text: str = "text", score: str = "score", fields: Iterable[str] = ()
) -> list[ScoredText]:
    """Return the rows of a JSON lines file, an object with these columns on each line.

    Raises:
        TuningProblem: ``data_failed``, with file and line: no file, no JSON, a column that is missing.
    """
    columns = (key, text, score, *fields)
    rows = []
    for number, row in files.read_jsonl(file, _data_failed):
        missing = [name for name in columns if name not in row]
        if missing:
            raise _data_failed(
                f"{file}, line {number}: found no {', '.join(missing)}, expected an object with {', '.join(columns)}; "
                "add what is missing"
            )
        rows.append(
            ScoredText(str(row[key]), row[text], row[score], {name: str(row[name]) for name in columns[3:]})
        )
    return rows


def _data_failed(message: str) -> TuningProblem:
    return TuningProblem("data_failed", message)
