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
from bench.core.raised import told
from bench.core.tables import number_of, read_table, require_columns, text_of
from bench.regression.record import LeftOut
from bench.regression.scale import SINGLE, Scale, Scores, UnknownGroup

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Split = Literal["train", "validation", "evaluation"]
Encoded = dict[str, Any]
MIN_ROWS = 2  # of a split


@dataclass(frozen=True, slots=True)
class ScoredText:
    """A text and its score.

    Attributes:
        key: names the row in tables; unique within a split.
        text: what is scored; None or a blank one where there is none.
        score: on the task's range, or one for each of several targets by its name; None where it was never given.
        fields: categorical fields, such as the prompt that a text answers.
    """

    key: str
    text: str | None
    score: float | Mapping[str, float | None] | None
    fields: Mapping[str, str] = field(default_factory=dict)


class ScoredTexts:
    """A dataset of scored texts; subclasses give the rows and may change how they are encoded.

    Attributes:
        label: what a record says of the rows' origin; synthetic rows are called so.
        fields: names of the categorical fields that rows have, each an extra embedding of the model.
        has_validation: whether `rows("validation")` gives rows by which the best epoch is chosen.
    """

    label: ClassVar[str] = ""
    fields: ClassVar[tuple[str, ...]] = ()
    has_validation: ClassVar[bool] = False

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


def read_split(dataset: ScoredTexts, split: Split, scores: Scores) -> tuple[list[ScoredText], Excluded]:
    """Return the rows of a split that can be used, and what was left out.

    A text that is blank and a score that was never given, is no number or lies outside the range are faults of one row:
    the row is left out, counted and shown. A key that is missing or repeated, a field that is missing, and a group without
    a declared range are faults of the dataset's code or the task, which would join wrong rows: they end the case.

    Raises:
        TuningProblem: ``data_failed``, such a fault, or fewer than two rows left.
    """
    try:
        rows = list(dataset.rows(split))
    except TuningProblem:
        raise
    except Exception as error:  # the user's code may raise anything
        raise _failed(split, f"rows() raised {told(error)}; correct the dataset") from error
    scale, seen = Scale.of(scores), set[str]()
    used, counts, first = [], Counter[str](), dict[str, str]()
    for place, row in enumerate(rows):
        _check_row(row, place, split, seen, dataset.fields)
        scored, why = _usable(row, scale, split)
        if scored is not None:
            used.append(scored)
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
    if not (_is_missing(row.text) or isinstance(row.text, str)):
        raise _failed(
            split,
            f"{row.key}: the text is {row.text!r}, expected a text, or None where there is none; correct rows()",
        )
    for name in fields:
        if not isinstance(row.fields.get(name), str):
            raise _failed(
                split, f"{row.key}: the field {name!r} is {row.fields.get(name)!r}, expected a text, since the "
                "dataset's `fields` name it; give every row one"
            )  # fmt: skip


def _usable(row: ScoredText, scale: Scale, split: str) -> tuple[ScoredText | None, str]:
    """Return a row with its scores as floats, or None and why it cannot be used."""
    if row.text is None or _is_missing(row.text) or not row.text.strip():
        return None, "with a blank text"
    given = row.score
    if not scale.is_single and not (given is None or isinstance(given, Mapping)):
        raise _failed(
            split,
            f"{row.key}: the score is {given!r}, expected a dictionary with {', '.join(scale.names)}, the task's targets",
        )
    scores: dict[str, float] = {}
    for target in scale.names:
        value = given if scale.is_single else (given or {}).get(target)  # type: ignore[union-attr]
        named = "" if scale.is_single else f" of {target}"
        if value is None:
            return None, f"without a score{named}"
        if isinstance(value, bool) or not isinstance(value, Real) or math.isnan(value):
            return None, f"with a score{named} that is no number"
        try:
            within = scale.range_of(target, group_of(row, scale))
        except UnknownGroup as error:
            raise _failed(
                split, f"{row.key}: found {error}; declare its range in the task's scores"
            ) from error
        if not within.contains(float(value)):
            return None, f"with a score{named} outside {within.text}"
        scores[target] = float(value)
    return replace(row, score=scores[SINGLE] if scale.is_single else scores), ""


def _is_missing(text: Any) -> bool:
    """Whether there is no text: None, or the NaN that tables of pandas have in its place."""
    return text is None or (isinstance(text, float) and math.isnan(text))


def group_of(row: ScoredText, scale: Scale) -> str | None:
    """Return the group that a row's ranges depend on; None where ranges do not differ by group."""
    return None if scale.group_field is None else row.fields.get(scale.group_field)


def groups_of(rows: Iterable[ScoredText], scale: Scale) -> list[str | None]:
    """Return the group of each row."""
    return [group_of(row, scale) for row in rows]


def scores_of(rows: Iterable[ScoredText], scale: Scale) -> list[list[float]]:
    """Return the scores of usable rows, (rows, targets)."""
    return [
        [row.score] if scale.is_single else [row.score[target] for target in scale.names]  # type: ignore[index, list-item, misc]
        for row in rows
    ]


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


def read_table_rows(
    file: Path,
    *,
    key: str = "key",
    text: str = "text",
    score: str | Iterable[str] = "score",
    fields: Iterable[str] = (),
) -> list[ScoredText]:
    """Return the rows of a table: CSV, Excel, parquet or JSON lines; the suffix says which.

    Args:
        file: the table.
        key, text: its columns.
        score: the column of scores, or several: then each is a target of its name. An empty cell is a missing score, a
            text that is a number is one.
        fields: columns that become the rows' fields, as texts; an empty cell is an empty text.

    Raises:
        TuningProblem: ``data_failed``: a table that cannot be read, or lacks a column.
    """
    fields, several = tuple(fields), () if isinstance(score, str) else tuple(score)
    table = read_table(file, _data_failed)
    require_columns(file, table, (key, text, *(several or (str(score),)), *fields), _data_failed)
    rows = []
    for place, (name, content) in enumerate(zip(table[key], table[text], strict=True)):
        values = {column: number_of(table[column][place]) for column in several or (str(score),)}
        rows.append(
            ScoredText(
                text_of(name) or "", text_of(content), values if several else values[str(score)],
                {column: text_of(table[column][place]) or "" for column in fields},
            )
        )  # fmt: skip
    return rows


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
