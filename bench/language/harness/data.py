"""The rows of a task from local files of the hub's form.

``--lm-eval-data DIR`` holds ``DIR/<dataset_path>/<dataset_name>/<split>.jsonl`` (or ``.parquet``, ``.csv``), without the
middle folder where a task names no subset, or clones of the hub's repositories. The rows are loaded by
``datasets.load_dataset`` all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.core.errors import LanguageProblem
from bench.language.harness.declared import functions
from bench.language.harness.replacing import replaced
from bench.language.harness.selection import HarnessTask

_BUILDERS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}
# Names that `datasets` takes for a form of files, not for a dataset.
_FORMS = {"json", "csv", "parquet", "text", "arrow", "pandas", "xml", "webdataset", "imagefolder"}
_HUB = "hf://datasets/"
_PART = re.compile(r"(.+?)-\d+(-of-\d+)?")
_COLUMN = re.compile(r"(?:doc|x|row|example)(?:\[|\.get\(\s*)[\"'](\w+)[\"']")
_SPLITS = ("training_split", "validation_split", "test_split", "fewshot_split")


def place(folder: Path, path: str, name: str | None) -> Path:
    """Return the folder in which a dataset's rows are expected."""
    return folder / path / name if name else folder / path


def split_files(folder: Path) -> dict[str, list[Path]]:
    """Return the files of each split of a folder, those in its own folder ``data`` included."""
    found: dict[str, list[Path]] = {}
    for inner in (folder, folder / "data"):
        if not inner.is_dir():
            continue
        for file in sorted(inner.iterdir()):
            if file.suffix in _BUILDERS and file.is_file():
                part = _PART.fullmatch(file.stem)
                found.setdefault(part[1] if part else file.stem, []).append(file)
        if found:
            break
    return found


def evaluated_split(config: Mapping[str, Any]) -> str | None:
    """Return the split that a task evaluates; None if its configuration does not say."""
    return config.get("test_split") or config.get("validation_split")


def count_rows(task: HarnessTask, folder: Path | None) -> int | None:
    """Return how many rows a task evaluates; None if that is known only after loading them."""
    split, path = evaluated_split(task.config), task.config.get("dataset_path")
    if folder is None or split is None or not isinstance(path, str):
        return None
    files = split_files(place(folder, path, task.config.get("dataset_name"))).get(split, [])
    if not files or any(file.suffix != ".jsonl" for file in files):
        return None
    count = 0
    for file in files:
        with open(file, "rb") as lines:
            count += sum(bool(line.strip()) for line in lines)
    return count


@contextmanager
def local_rows(task: HarnessTask, folder: Path | None) -> Iterator[None]:
    """Let ``datasets.load_dataset`` find the rows of a task in a folder for a while.

    A task loads its rows while it is made, and some tasks do so by their own code.

    Args:
        task: whose rows are loaded.
        folder: of ``--lm-eval-data``; None leaves everything as it is.

    Raises:
        LanguageProblem: inside of it, for rows that are not there.
    """
    if folder is None:
        yield
        return
    import datasets  # noqa: PLC0415  slow to import

    original: Any = datasets.load_dataset

    def load(path: str, name: str | None = None, *more: Any, **options: Any) -> Any:
        if path in _FORMS or Path(path).exists():
            return original(path, name, *more, **_on_disk(options, folder))
        here = place(folder, path, name)
        kept = {key: options[key] for key in ("split", "streaming") if options.get(key) is not None}
        files = split_files(here)
        if options.get("data_files") is not None and here.is_dir():
            return original(str(here), data_files=options["data_files"], **kept)
        if files:
            _require_splits(task, here, files)
            builders = {_BUILDERS[file.suffix] for listed in files.values() for file in listed}
            if len(builders) > 1:
                raise LanguageProblem(
                    "data_failed",
                    f"{here}: found files of {' and '.join(sorted(builders))}, expected one form; convert or remove some",
                )
            data_files = {split: [str(file) for file in listed] for split, listed in files.items()}
            return original(builders.pop(), data_files=data_files, **kept)
        clone = folder / path
        if clone.is_dir() and any(clone.iterdir()) and (name is None or (clone / "README.md").is_file()):
            return original(str(clone), name, **kept)
        raise LanguageProblem("data_failed", _missing(task, here))

    with replaced(datasets, load_dataset=load):
        yield


def wanted_splits(task: HarnessTask) -> list[str]:
    """Return the splits that a task reads, as far as its configuration says."""
    shots = task.config.get("fewshot_config")
    named = [task.config.get(key) for key in _SPLITS]
    named.append(shots.get("split") if isinstance(shots, Mapping) else None)
    return list(dict.fromkeys(name for name in named if isinstance(name, str)))


def wanted_columns(task: HarnessTask) -> list[str]:
    """Return the columns that a task's templates and functions name; a guide for a reader, not a complete list."""
    import jinja2  # noqa: PLC0415  only for messages
    import jinja2.meta  # noqa: PLC0415

    found: dict[str, None] = {}
    for key, value in task.config.items():
        if key.startswith("doc_to_") and isinstance(value, str) and "{" in value:
            try:
                found |= dict.fromkeys(
                    sorted(jinja2.meta.find_undeclared_variables(jinja2.Environment().parse(value)))
                )
            except jinja2.TemplateError:
                continue
        elif key.startswith("doc_to_") and isinstance(value, str) and re.fullmatch(r"\w+", value):
            found[value] = None
    for function in functions(task.config):
        if function.file is not None:
            found |= dict.fromkeys(_COLUMN.findall(function.file.read_text(encoding="utf-8")))
    return list(found)


def _on_disk(value: Any, folder: Path) -> Any:
    """Return arguments in which files of the hub are those of a folder."""
    if isinstance(value, str) and value.startswith(_HUB):
        return str(folder / value.removeprefix(_HUB))
    if isinstance(value, Mapping):
        return {key: _on_disk(one, folder) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_on_disk(one, folder) for one in value]
    return value


def _require_splits(task: HarnessTask, here: Path, files: Mapping[str, Any]) -> None:
    missing = [split for split in wanted_splits(task) if _plain(split) not in files]
    if missing:
        raise LanguageProblem(
            "data_failed",
            f"{here}: found the splits {', '.join(files)}, expected {', '.join(missing)} too{_columns(task)}; add "
            f"{missing[0]}.jsonl or .parquet",
        )


def _plain(split: str) -> str:
    """Return a split without a part of it: ``train`` for ``train[:10]``."""
    return split.partition("[")[0]


def _missing(task: HarnessTask, here: Path) -> str:
    splits = wanted_splits(task) or ["test"]
    return (
        f"{here}: found no rows for the task {task.name}; expected the splits {', '.join(splits)} as "
        f"{splits[0]}.jsonl or .parquet{_columns(task)}; add them, or leave out --lm-eval-data to load them from the hub"
    )


def _columns(task: HarnessTask) -> str:
    columns = wanted_columns(task)
    return f" with the columns {', '.join(columns)}" if columns else ""
