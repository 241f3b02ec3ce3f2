"""Fields of a task that are read as empty texts where they are null: ``metadata: {optional: [note]}`` in its YAML file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bench.core.errors import LanguageProblem
from bench.language.cells import with_empty
from bench.language.harness.replacing import replaced
from bench.language.harness.selection import HarnessTask

OPTIONAL = "optional"
"""Key of a task's metadata."""


def optional_fields(task: HarnessTask) -> tuple[str, ...]:
    """Return the optional fields of a task.

    Raises:
        LanguageProblem: anything but names.
    """
    metadata = task.config.get("metadata")
    found = metadata.get(OPTIONAL, ()) if isinstance(metadata, Mapping) else ()
    names = [found] if isinstance(found, str) else found
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise LanguageProblem(
            "task_invalid",
            f"{task.name}: found {found!r:.80} as optional in metadata, expected names of fields, such as [note]; correct "
            "it",
        )
    return tuple(names)


@contextmanager
def optional_read(task: HarnessTask) -> Iterator[None]:
    """Let a task find empty texts in place of the nulls of its optional fields when it has loaded its rows.

    Raises:
        LanguageProblem: inside of it, for an optional field that no split has, or one of other values than texts.
    """
    names = optional_fields(task)
    if not names:
        yield
        return
    from lm_eval.api.task import ConfigurableTask  # noqa: PLC0415

    own = ConfigurableTask.download

    def download(made: Any, *given: Any, **named: Any) -> None:
        own(made, *given, **named)
        splits = made.dataset
        known = {name for rows in splits.values() for name in _columns(rows)}
        missing = [name for name in names if name not in known]
        if missing:
            raise LanguageProblem(
                "data_failed",
                f"{task.name}: found the columns {', '.join(sorted(known))}, expected {', '.join(missing)} too, which "
                "metadata declares optional; correct the name, or the rows",
            )
        made.dataset = {split: _filled(task, rows, names) for split, rows in splits.items()}

    with replaced(ConfigurableTask, download=download):
        yield


def _columns(rows: Any) -> list[str]:
    found = getattr(rows, "column_names", None)
    return list(found) if found is not None else list(dict.fromkeys(name for row in rows for name in row))


def _filled(task: HarnessTask, rows: Any, names: tuple[str, ...]) -> Any:
    import datasets  # noqa: PLC0415  slow to import

    if not isinstance(rows, datasets.Dataset):
        return [with_empty(row, names) for row in rows]
    for name in names:
        form = rows.features.get(name)
        if form is None:
            continue
        kind = getattr(form, "dtype", type(form).__name__)
        if kind not in ("string", "large_string", "null"):
            raise LanguageProblem(
                "data_failed",
                f"{task.name}: found {kind} in the column {name}, expected texts, since metadata declares it optional and "
                "an empty text takes the place of a null; write its values as texts, or fill the cells",
            )
        filled = ["" if value is None else value for value in rows[name]]
        rows = rows.remove_columns(name).add_column(name, filled)
    return rows
