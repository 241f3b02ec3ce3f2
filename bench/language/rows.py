"""Rows of a dataset: those that ship, those of a user's folder, or those of the hub; parquet and jsonl, no scripts."""

from __future__ import annotations

from pathlib import Path

from bench.core.errors import LanguageProblem
from bench.core.row_files import SUFFIXES, RowFile, load
from bench.language.spec import Row, Source

OWN, HUB = "own", "hub"

Rows = list[Row]


class RowReader:
    """Reads rows from where ``--data`` says.

    Args:
        data: ``own`` for the rows that ship, ``hub``, or a folder. A folder holds ``<rows>.jsonl``, ``.parquet`` or
            ``.csv`` for each dataset (``<rows>.train.*`` for examples), or a folder named after the last part of the
            hub name, in any form that ``datasets.load_dataset`` takes.
        own: folder of the rows that ship; None if there is none.
    """

    def __init__(self, data: str, own: Path | None = None) -> None:
        self._data, self._own = data, own
        # Both splits of the last dataset: its shards ask for them one after the other.
        self._last: dict[str, Rows] = {}

    @property
    def label(self) -> str:
        """What a record says of the origin of the rows."""
        return "synthetic rows that ship with the suite" if self._data == OWN else self._data

    def count(self, source: Source) -> int | None:
        """Return how many rows are evaluated; None if that is known only after loading them."""
        file = self._file(source.rows)
        if file is None or file.suffix != ".jsonl":
            return None
        with open(file, "rb") as lines:
            return sum(bool(line.strip()) for line in lines)

    def evaluated(self, source: Source) -> Rows:
        """Return the rows that are evaluated.

        Raises:
            LanguageProblem: they cannot be loaded, or there are none.
        """
        return self._kept(source, source.rows, source.split)

    def training(self, source: Source) -> Rows:
        """Return the rows that in-context examples come from; none if the dataset has no such split.

        Raises:
            LanguageProblem: they cannot be loaded, or there are none.
        """
        if source.train_split is None:
            return []
        return self._kept(source, f"{source.rows}.train", source.train_split)

    def _file(self, stem: str) -> Path | None:
        if self._data == HUB:
            return None
        folder = self._own if self._data == OWN else Path(self._data)
        if folder is None:
            return None
        return next((file for suffix in SUFFIXES if (file := folder / f"{stem}{suffix}").is_file()), None)

    def _kept(self, source: Source, stem: str, split: str) -> Rows:
        """Return a split, read once for all shards of the dataset."""
        part = f"{source} {stem}"
        if part not in self._last:
            rows = self._read(source, stem, split)
            if any(not other.startswith(f"{source} ") for other in self._last):
                self._last.clear()
            self._last[part] = rows
        return self._last[part]

    def _read(self, source: Source, stem: str, split: str) -> Rows:
        file = self._file(stem)
        rows = self._load(source, split) if file is None else RowFile(file, _data_failed).rows()
        if not rows:
            raise _data_failed(f"{file or source.hub}: found no rows; expected at least one; add rows")
        return rows

    def _load(self, source: Source, split: str) -> Rows:
        what, options = self._place(source, split)
        try:
            return list(load(what[0], _data_failed, *what[1:], **options))
        except LanguageProblem as problem:
            raise _data_failed(f"{problem}, or give local rows with --data DIR") from problem

    def _place(self, source: Source, split: str) -> tuple[tuple[str, ...], dict[str, str | None]]:
        """Return the arguments and keyword arguments of ``datasets.load_dataset``."""
        if self._data == HUB:
            named = (source.hub, source.subset) if source.subset else (source.hub,)
            return named, {"split": split, "revision": source.revision}
        if self._data == OWN and self._own is None:
            raise _data_failed(
                f"--data {OWN}: found no folder of rows that ship; expected one as the ini value modelgate_rows; set it, "
                "or give --data hub or --data DIR"
            )
        folder = (self._own or Path()) if self._data == OWN else Path(self._data)
        local = folder / source.hub.rsplit("/", 1)[-1]
        if not local.is_dir():
            raise _data_failed(
                f"--data {self._data}: found neither {source.rows}.jsonl (.parquet, .csv) nor a folder {local.name} in "
                f"{folder}; expected the rows of {source.hub}; add them, or give --data hub"
            )
        inner = source.subset is not None and (local / source.subset).is_dir()
        return (str(local), str(source.subset)) if inner else (str(local),), {"split": split}


def _data_failed(message: str) -> LanguageProblem:
    return LanguageProblem("data_failed", message)
