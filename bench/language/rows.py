"""Rows of a dataset: those that ship, those of a user's folder, or those of the hub; parquet and jsonl, no scripts."""

from __future__ import annotations

import re
from pathlib import Path

from bench.core.errors import LanguageProblem
from bench.core.files import mark_of
from bench.core.row_files import SUFFIXES, RowFile, load
from bench.language.sampling import Drawn, draw
from bench.language.spec import Row, Source

OWN, HUB = "own", "hub"

Rows = list[Row]

# "validation-00000-of-00002", "validation-3": a part of a split. "validation_matched" is another split.
_PART_OF_SPLIT = r"(?:[-_][0-9]+(?:-of-[0-9]+)?(?:-[0-9a-f]{8,})?)?"


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
        self._samples: dict[tuple[str, int | None, int, str | None], Drawn] = {}

    @property
    def label(self) -> str:
        """What a record says of the origin of the rows."""
        return "synthetic rows that ship with the suite" if self._data == OWN else self._data

    def count(self, source: Source) -> int | None:
        """Return how many rows are evaluated; None if that is known only after loading them."""
        try:
            file = self._file(source.rows)
            if file is None or file.suffix != ".jsonl":
                return None
            with open(file, "rb") as lines:
                return sum(bool(line.strip()) for line in lines)
        except (LanguageProblem, OSError):  # the case itself says what is wrong with its rows
            return None

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

    def drawn(self, source: Source, limit: int | None, seed: int, group: str | None) -> Drawn:
        """Return which of the evaluated rows a limit leaves; arguments as for `bench.language.sampling.draw`.

        Raises:
            LanguageProblem: the rows cannot be loaded, or there are none.
        """
        asked = (str(source), limit, seed, group)
        if asked not in self._samples:
            self._samples = {asked: draw(self.evaluated(source), limit, seed, group)}
        return self._samples[asked]

    def _file(self, stem: str) -> Path | None:
        """Return the file of a stem; None if there is none.

        Raises:
            LanguageProblem: several files of that stem.
        """
        if self._data == HUB:
            return None
        folder = self._own if self._data == OWN else Path(self._data)
        if folder is None:
            return None
        found = [file for suffix in SUFFIXES if (file := folder / f"{stem}{suffix}").is_file()]
        if len(found) > 1:
            raise _data_failed(
                f"{folder}: found {' and '.join(file.name for file in found)}, expected one file of these rows; remove the "
                "others"
            )
        return found[0] if found else None

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
        if file is None and split == source.train_split and self._file(source.rows) is not None:
            raise self._without_examples(source, stem)
        rows = self._load(source, split) if file is None else RowFile(file, _data_failed).rows()
        if not rows:
            raise _data_failed(f"{file or source.hub}: found no rows; expected at least one; add rows")
        return rows

    def _load(self, source: Source, split: str) -> Rows:
        what, options = self._place(source, split)
        if self._data != HUB and len(what) == 1:
            files = files_of_split(Path(what[0]), split)
            if files:
                return [row for file in files for row in RowFile(file, _data_failed).rows()]
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
        _refuse_pointers(local)
        return _place_of_clone(local, source), {"split": split}

    def _without_examples(self, source: Source, stem: str) -> LanguageProblem:
        """Return the problem of a folder with the rows to ask, and without those for in-context examples."""
        asked = self._file(source.rows)
        assert asked is not None
        return _data_failed(
            f"{asked.parent}: found {asked.name} and no {stem}.jsonl (.json, .parquet, .csv), expected that file too: this "
            "dataset has in-context examples, which come from the training split; add it"
        )


def _place_of_clone(local: Path, source: Source) -> tuple[str, ...]:
    """Return what ``datasets.load_dataset`` loads of a local copy of a hub dataset.

    A copy with a card knows its subsets by name. Without one, a subset is the folder of its name, in the form of the main
    branch (``<subset>/<split>-*.parquet``) and of the parquet branch (``<subset>/<split>/*.parquet``).

    Raises:
        LanguageProblem: several folders of rows, and no card that says which of them is the subset.
    """
    subset = source.subset
    card = local / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    if subset is not None and f"config_name: {subset}\n" in text:
        return str(local), subset
    if subset is not None and (local / subset).is_dir():
        return (str(local / subset),)
    if "config_name:" in text:
        return (str(local),) if subset is None else (str(local), subset)
    folders = sorted(
        folder.name for folder in local.iterdir()
        if folder.is_dir() and not folder.name.startswith(".") and _has_rows(folder)
    )  # fmt: skip
    splits = {"data", source.split, source.train_split, "train", "test", "validation", "dev"}
    if (local / "dataset_dict.json").is_file() or (local / "state.json").is_file():
        raise _data_failed(
            f"{local}: found a folder as save_to_disk writes it, expected files of rows; write each split by to_parquet, "
            f"such as {source.split}.parquet"
        )
    others = set(folders) - splits - {"default"}
    if len(others) > 1 or (subset is not None and others):
        wanted = f"one named {subset}" if subset else "one of them"
        raise _data_failed(
            f"{local}: found the folders {', '.join(folders)} and no card (README.md) that names them, expected {wanted}; "
            "leave the folder with the rows of the dataset only"
        )
    return (str(local),)


def files_of_split(folder: Path, split: str) -> list[Path]:
    """Return the files of a split in a copy of a hub dataset without a card, in their order; none if no name tells.

    ``datasets`` itself takes ``dev`` and ``validation`` for one split, and reads both.

    Args:
        folder: of the dataset, or of its subset.
        split: as the dataset's file names it.
    """
    files = [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in SUFFIXES and file.is_file()]
    exact = [file for file in files if re.fullmatch(rf"{re.escape(split)}{_PART_OF_SPLIT}", file.stem)]
    if exact:
        return _of_one_folder(folder, split, exact)
    begins, holds = rf"{re.escape(split)}([-._]|$)", rf"(^|[-._]){re.escape(split)}([-._]|$)"
    for rule in (begins, holds):
        named = [
            file for file in files
            if re.match(rule, file.stem) or (rule is holds and re.search(rule, file.stem))
            or split in file.relative_to(folder).parts[:-1]
        ]  # fmt: skip
        kinds = {re.sub(rf"{_PART_OF_SPLIT}$", "", file.stem) for file in named}
        if rule is begins and len(kinds) > 1 and all(re.match(begins, kind) for kind in kinds):
            raise _data_failed(
                f"{folder}: found {', '.join(sorted(kinds))}, none of which is named {split}, expected the rows of one "
                f"split; name its file {split}, or leave only that file"
            )
        if named:
            return named
    return []


def _of_one_folder(folder: Path, split: str, files: list[Path]) -> list[Path]:
    """Return files of a split, which are in one folder: a copy in another one would be read twice."""
    folders = sorted({str(file.parent.relative_to(folder)) for file in files})
    if len(folders) > 1:
        raise _data_failed(
            f"{folder}: found files named {split} in the folders {', '.join(folders)}, expected them in one; leave "
            "only those with the rows of the dataset"
        )
    return files


def _has_rows(folder: Path) -> bool:
    return any(file.suffix.lower() in SUFFIXES for file in folder.rglob("*"))


def _refuse_pointers(folder: Path) -> None:
    """Refuse a clone without its large files: it has small texts in their place."""
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in SUFFIXES and file.is_file() and file.stat().st_size < 1000:
            mark = mark_of(file.read_bytes())
            if mark is not None and mark[1].startswith("git"):
                raise _data_failed(f"{file}: found {mark[0]}, expected rows; {mark[1]}")


def _data_failed(message: str) -> LanguageProblem:
    return LanguageProblem("data_failed", message)
