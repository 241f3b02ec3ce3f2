"""Inputs next to the prompts of a file: columns of its rows, or folders of images next to it."""

from __future__ import annotations

import hashlib
import io
import mimetypes
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.acceleration.inputs import CLASS_LABEL, COLUMNS, IMAGES, NAMES, Inputs
from bench.acceleration.prompt_files import column_of
from bench.acceleration.protocol.inputs import MODES, upright
from bench.core.errors import UsageProblem
from bench.core.names import listed, quoted

#: What a folder next to ``prompts.txt`` is called after ``prompts.`` or ``prompts_``.
INPUT_FOLDERS = {"image": "images", "mask_image": "masks", "control_image": "controls"}
_SEPARATORS = (".", "_")
NO_INPUTS = "none"
# Also the name of a column of texts or scores, which are no classes.
_AMBIGUOUS = "label"
_NUMBERS = re.compile(r"([0-9]+)")
# An address, or an image that is written out as text.
_NO_PATH, _LONGEST_PATH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|data:"), 1024
_METADATA, _FILE_NAME = "metadata", "file_name"
_LABEL = re.compile(r"[0-9]{1,15}(\.0*)?")
_ORIENTATION = 0x0112  # of EXIF; from 5 on, height and width are exchanged


@dataclass(frozen=True)
class InputTable:
    """The inputs of all rows, not yet looked at.

    Attributes:
        source: as the option gave it, for messages.
        folder: what paths in the rows are relative to; None for a dataset of the hub.
        inside: whether the files must lie in that folder, since the folder as a whole is what a run depends on.
        cells: by input, a value for each row: a path, the bytes of an image, or a label.
        places: by input, the column or folder that they come from, for messages.
    """

    source: str
    folder: Path | None = None
    inside: bool = False
    cells: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)

    def at(self, row: int, keep: Path | None = None) -> Inputs:
        """Return the inputs of a row.

        Args:
            row: from 0.
            keep: folder into which images are written that the rows hold themselves.

        Raises:
            UsageProblem: a file that is not there, or a label that is no whole number.
        """
        found: dict[str, Any] = {}
        for name in self.cells:
            if name == CLASS_LABEL:
                found[name] = self._label(row)
                continue
            image = self._image(name, row)
            found[name] = str(image) if isinstance(image, Path) else str(_kept(image, MODES[name], keep))
        return Inputs(**found)

    def check(self, rows: Iterable[int], *, one_size: bool) -> None:
        """Refuse inputs that no pipeline could use.

        Args:
            rows: which ones are looked at.
            one_size: whether all images must have one size, as those of one call must.

        Raises:
            UsageProblem: a missing file, an unreadable image, a label that is no whole number, images of different sizes.
        """
        first: tuple[int, dict[str, tuple[int, int]]] | None = None
        for row in rows:
            if CLASS_LABEL in self.cells:
                self._label(row)
            sizes = {name: self._size(name, row) for name in IMAGES if name in self.cells}
            if len(set(sizes.values())) > 1:
                raise self._problem(
                    row,
                    f"found {_sizes(sizes)}, expected one size; resize them, or leave one out with --prompts-inputs",
                )
            first = first or (row, sizes)
            if one_size and sizes != first[1]:
                raise self._problem(
                    row,
                    f"found {_sizes(sizes)}, and {_sizes(first[1])} in row {first[0]}; expected one size, since a pipeline "
                    "resizes the images of one call to that of the first; resize them, or give --batch-size 1",
                )

    def files(self) -> list[Path]:
        """Return the files that the rows name; those that are not there too."""
        found = []
        for name in (name for name in IMAGES if name in self.cells):
            for row in range(len(self.cells[name])):
                image = self._image(name, row, must_exist=False)
                if isinstance(image, Path):
                    found.append(image)
        return found

    def _label(self, row: int) -> int:
        value = self.cells[CLASS_LABEL][row]
        label = _as_label(value)
        if label is None:
            raise self._problem(
                row,
                f"found {value!r} in {self.places[CLASS_LABEL]}, expected the number of a class, from 0; correct it",
            )
        return label

    def _image(self, name: str, row: int, *, must_exist: bool = True) -> Path | bytes:
        value, place = self.cells[name][row], self.places[name]
        if isinstance(value, Mapping):
            if isinstance(value.get("bytes"), bytes):
                data: bytes = value["bytes"]
                return data
            value = value.get("path")
        if isinstance(value, bytes):
            return value
        if isinstance(value, str | Path) and (text := str(value).strip()):
            if _NO_PATH.match(text) or len(text) > _LONGEST_PATH:
                raise self._problem(
                    row,
                    f"found {quoted(text)} in {place}, expected the path of a file; download or write the image to one",
                )
            return self._file(row, Path(text), must_exist)
        raise self._problem(
            row, f"found {value!r} in {place}, expected the path of an image; add it, or remove the row"
        )

    def _file(self, row: int, named: Path, must_exist: bool) -> Path:
        if self.folder is None and not named.is_absolute():
            raise self._problem(
                row,
                f"found the path {named} in a dataset of the hub, expected the image itself; download the dataset and give "
                "its folder",
            )
        file = (self.folder or Path()).absolute() / named
        if must_exist and not file.is_file():
            raise self._problem(row, f"found no file {file}; expected an image; add it, or correct the path")
        if self.inside and not file.resolve().is_relative_to((self.folder or Path()).resolve()):
            raise self._problem(
                row,
                f"found the file {file}, expected one inside of the folder; move it there, or give a file of rows",
            )
        return file

    def _size(self, name: str, row: int) -> tuple[int, int]:
        """Return width and height of an image whose file is whole."""
        image = self._image(name, row)
        try:
            return _looked_at(image)
        except Exception as error:  # Pillow's readers raise whatever damaged bytes lead them to
            shown = f"the file {image}" if isinstance(image, Path) else f"bytes in {self.places[name]}"
            raise self._problem(
                row, f"found {shown}, which is no whole image ({_plain(error)}); expected one; write it again"
            ) from error

    def _problem(self, row: int, message: str) -> UsageProblem:
        return UsageProblem(f"--prompts {self.source}: row {row}: {message}")


def find_inputs(source: str, rows: Any, wanted: Sequence[str] = ()) -> InputTable:
    """Return the inputs in the columns of rows, and in the folders next to a file.

    Args:
        source: a file, a folder or a name on the hub.
        rows: with ``column_names``, and a list for each by index.
        wanted: names of inputs, or `NO_INPUTS`; empty for all that are there.

    Raises:
        UsageProblem: an input that is wanted and not there, one that is there twice, or a folder with another count.
    """
    path = Path(source)
    is_folder, is_file = path.is_dir(), path.is_file()
    if NO_INPUTS in wanted and len(wanted) > 1:
        raise UsageProblem(
            f"--prompts-inputs {' '.join(wanted)}: found {NO_INPUTS} next to others, expected it alone; leave it out"
        )
    cells: dict[str, Sequence[Any]] = {}
    places: dict[str, str] = {}
    for name in NAMES if not wanted else [name for name in NAMES if name in wanted]:
        column = _column(rows, name)
        if column is None and is_file:
            column = _column_of_files(path, rows, name)
        folder = _one_source(source, column, _folders(path, name) if is_file else [])
        if column is not None:
            cells[name], places[name] = _undecoded(rows, column)[column], f"column {column!r}"
        elif folder is not None:
            cells[name], places[name] = (
                _files_in(folder, source, len(rows[rows.column_names[0]])),
                str(folder),
            )
        elif wanted:
            raise UsageProblem(
                f"--prompts-inputs {name}: found the columns {listed(rows.column_names)} in --prompts {source}, expected "
                f"{' or '.join(COLUMNS[name])}; add it, or leave out {name}"
            )
    return InputTable(
        source,
        path.absolute() if is_folder else path.parent.absolute() if is_file else None,
        is_folder,
        cells,
        places,
    )


def _column(rows: Any, name: str) -> str | None:
    column = column_of(rows.column_names, COLUMNS[name])
    if column is None or column.strip().lower() != _AMBIGUOUS:
        return column
    return column if any(_as_label(value) is not None for value in rows[column]) else None


def _undecoded(rows: Any, column: str) -> Any:
    """Return the rows of ``datasets`` with images of a column as they are stored: nothing is decoded to look at it."""
    feature: Any = (getattr(rows, "features", None) or {}).get(column)
    if type(feature).__name__ != "Image":
        return rows
    return rows.cast_column(column, type(feature)(decode=False))


def _column_of_files(path: Path, rows: Any, name: str) -> str | None:
    """Return the column that names the images of an input as Hugging Face's imagefolder does, None where there is none.

    That is `file_name`, or `mask_file_name` and the like, of a file called metadata that lies next to images. Where none of
    them is there, or they are no images, the file only tells of captions.
    """
    if path.stem.lower() != _METADATA:
        return None
    wanted = [f"{column}_{_FILE_NAME}" for column in COLUMNS[name]] if name in IMAGES else []
    column = column_of(rows.column_names, [_FILE_NAME, *wanted] if name == "image" else wanted)
    named = [] if column is None else [str(value).strip() for value in rows[column] if value is not None]
    is_there = any(_is_image_file(path.parent, text) for text in dict.fromkeys(named))
    return column if is_there else None


def _is_image_file(folder: Path, named: str) -> bool:
    if not named or _NO_PATH.match(named) or len(named) > _LONGEST_PATH or "\0" in named:
        return False
    kind = mimetypes.guess_type(named)[0] or ""
    return kind.startswith("image/") and (folder / named).is_file()


def _folders(path: Path, name: str) -> list[Path]:
    if name not in INPUT_FOLDERS:
        return []
    named = [path.with_name(f"{path.stem}{mark}{INPUT_FOLDERS[name]}") for mark in _SEPARATORS]
    return [folder for folder in named if folder.is_dir()]


def _one_source(source: str, column: str | None, folders: Sequence[Path]) -> Path | None:
    """Return the folder of an input, None where it has none.

    Raises:
        UsageProblem: a column next to it, or a second one.
    """
    found = [
        *([f"the column {column!r}"] if column is not None else []),
        *(f"the folder {it}" for it in folders),
    ]
    if len(found) > 1:
        raise UsageProblem(
            f"--prompts {source}: found {' and '.join(found)}, expected one of them; remove one"
        )
    return next(iter(folders), None)


def _files_in(folder: Path, source: str, rows: int) -> list[Path]:
    files = [file.absolute() for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")]
    if len(files) != rows:
        raise UsageProblem(
            f"--prompts {source}: found {len(files)} files in {folder} for {rows} rows; expected one for each row, in the "
            "order of their names; add or remove some"
        )
    return sorted(files, key=lambda file: (_natural(file.name), file.name))


def _natural(name: str) -> list[Any]:
    """Return the parts of a name by which 2.png goes before 10.png."""
    return [int(part) if index % 2 else part for index, part in enumerate(_NUMBERS.split(name))]


def _as_label(value: Any) -> int | None:
    if isinstance(value, str) and _LABEL.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, float) and value.is_integer():  # a table with a gap in the column holds fractions
        value = int(value)
    return value if type(value) is int and value >= 0 else None


def _looked_at(image: Path | bytes) -> tuple[int, int]:
    """Return width and height of an image, after all of it was read; what is damaged raises."""
    import PIL.Image  # noqa: PLC0415

    with PIL.Image.open(io.BytesIO(image) if isinstance(image, bytes) else image) as opened:
        width, height = opened.size
        opened.draft("L", (1, 1))  # JPEG then decodes an eighth of it, and still reads all
        opened.load()
        turned = (opened.getexif().get(_ORIENTATION) or 0) >= 5
    return (height, width) if turned else (width, height)


def _kept(image: bytes, mode: str, keep: Path | None) -> Path:
    """Write an image that the rows hold into a folder, once, and return its path."""
    import PIL.Image  # noqa: PLC0415

    assert keep is not None, "rows with images in them are drawn with a folder to keep these in"
    keep.mkdir(parents=True, exist_ok=True)
    file = keep / f"{hashlib.sha256(image).hexdigest()[:16]}.{mode}.png"
    if not file.exists():
        with PIL.Image.open(io.BytesIO(image)) as opened:
            upright(opened, mode).save(file)
    return file


def _sizes(sizes: Mapping[str, tuple[int, int]]) -> str:
    return ", ".join(f"{name} of {width} x {height} pixels" for name, (width, height) in sizes.items())


def _plain(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
