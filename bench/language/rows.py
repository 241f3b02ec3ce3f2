"""Rows of a dataset: our own, from a folder of the user's, or from the hub; parquet and jsonl, no scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.core.errors import LanguageProblem
from bench.language.spec import Source

OWN, HUB = "own", "hub"
_LOADERS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}

Rows = list[dict[str, Any]]


class RowReader:
    """Reads rows from where ``--data`` says.

    Args:
        data: ``own`` for the rows that ship, ``hub``, or a folder that holds ``<rows>.jsonl``, ``.parquet`` or
            ``.csv`` for each dataset (``<rows>.train.*`` for examples), or a folder ``<last part of the hub
            name>`` in any form that ``datasets.load_dataset`` takes.
        own: folder of the rows that ship.
    """

    def __init__(self, data: str, own: Path) -> None:
        self._data, self._own = data, own
        # The last dataset's two parts: its shards ask for them one after the other.
        self._last: dict[str, Rows] = {}

    @property
    def label(self) -> str:
        """What a record says of the rows' origin."""
        return "synthetic rows that ship with the suite" if self._data == OWN else self._data

    def count(self, source: Source) -> int | None:
        """Return how many rows are evaluated, None where that is known only after loading them."""
        file = self._file(source.rows)
        if file is None or file.suffix != ".jsonl":
            return None
        with open(file, "rb") as lines:
            return sum(bool(line.strip()) for line in lines)

    def evaluated(self, source: Source) -> Rows:
        """Return the rows that are evaluated.

        Raises:
            LanguageProblem: when they cannot be loaded, or there are none.
        """
        return self._read(source, source.rows, source.split)

    def training(self, source: Source) -> Rows:
        """Return the rows that in-context examples come from; none where the dataset has none."""
        if source.train_split is None:
            return []
        return self._read(source, f"{source.rows}.train", source.train_split)

    def _file(self, stem: str) -> Path | None:
        if self._data == HUB:
            return None
        folder = self._own if self._data == OWN else Path(self._data)
        return next((file for suffix in _LOADERS if (file := folder / f"{stem}{suffix}").is_file()), None)

    def _read(self, source: Source, stem: str, split: str) -> Rows:
        part = f"{source} {stem}"
        if part not in self._last:
            rows = self._read_anew(source, stem, split)
            if any(not other.startswith(f"{source} ") for other in self._last):
                self._last.clear()
            self._last[part] = rows
        return self._last[part]

    def _read_anew(self, source: Source, stem: str, split: str) -> Rows:
        file = self._file(stem)
        where = str(file or source.hub)
        lines = file is not None and file.suffix == ".jsonl"
        rows = _read_lines(file) if lines and file else self._load(source, file, split)
        if not rows:
            raise LanguageProblem("data_failed", f"{where}: found no rows; expected at least one")
        return rows

    def _load(self, source: Source, file: Path | None, split: str) -> Rows:
        import datasets  # noqa: PLC0415 - slow, and our own rows need none of it

        datasets.disable_progress_bars()
        if file is not None:
            what: tuple[Any, ...] = (_LOADERS[file.suffix],)
            options: dict[str, Any] = {"data_files": str(file), "split": "train"}
        elif self._data == HUB:
            what = (source.hub, source.subset) if source.subset else (source.hub,)
            options = {"split": split, "revision": source.revision}
        else:
            folder = Path(self._data) / source.hub.rsplit("/", 1)[-1]
            if not folder.is_dir():
                raise LanguageProblem(
                    "data_failed",
                    f"--data {self._data}: found neither {source.rows}.jsonl (.parquet, .csv) nor a folder "
                    f"{folder.name} there; expected the rows of {source.hub}",
                )
            what = (
                (str(folder), source.subset)
                if source.subset and (folder / source.subset).is_dir()
                else (str(folder),)
            )
            options = {"split": split}
        try:
            return list(datasets.load_dataset(*what, **options))
        except Exception as error:  # datasets raises whatever its readers and the hub raise
            cause = error.__cause__ or error
            raise LanguageProblem(
                "data_failed",
                f"{what[0] if file is None else file}: datasets could not load it ({type(cause).__name__}: "
                f"{str(cause)[:300]}); give local rows with --data DIR, or check the hub name",
            ) from error


def _read_lines(file: Path) -> Rows:
    rows = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise LanguageProblem(
                "data_failed", f"{file}, line {number}: no JSON ({error}); mend the line"
            ) from error
        if not isinstance(row, dict):
            raise LanguageProblem(
                "data_failed",
                f"{file}, line {number}: found {type(row).__name__}, expected an object with columns",
            )
        rows.append(row)
    return rows
