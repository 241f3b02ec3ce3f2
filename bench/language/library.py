"""Dataset files: found by folder, loaded by name. A name is the file's name and is taken once."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from bench.core.errors import LanguageProblem
from bench.core.registry import no_such
from bench.language.spec import Dataset

SHIPPED = Path(__file__).with_name("datasets")


class Library:
    """The dataset files of some folders.

    Args:
        folders: the user's own; ours are always there too.

    Raises:
        LanguageProblem: when a folder does not exist, or two of them hold a file of the same name.
    """

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._files: dict[str, Path] = {}
        for folder in (SHIPPED, *folders):
            if not folder.is_dir():
                raise LanguageProblem(
                    "data_failed", f"--dataset-dir {folder}: no such folder; expected one with dataset files"
                )
            for file in sorted(folder.glob("[!_]*.py")):
                taken = self._files.setdefault(file.stem, file)
                if taken.resolve() != file.resolve():
                    raise LanguageProblem(
                        "data_failed",
                        f"dataset {file.stem!r} is there twice: {taken} and {file}; rename one of the files",
                    )

    def __iter__(self):  # type: ignore[no-untyped-def]
        """Iterate over the names."""
        return iter(self._files)

    def path(self, name: str) -> Path:
        """Return the file of a dataset.

        Raises:
            LanguageProblem: with the nearest names.
        """
        if name not in self._files:
            raise LanguageProblem(
                "data_failed",
                f"{no_such('dataset', name, self._files)}; "
                "add a file of that name to a folder and name it with --dataset-dir",
            )
        return self._files[name]

    def load(self, name: str) -> Dataset:
        """Return what a dataset file declares.

        Raises:
            LanguageProblem: when there is no such file, or it cannot be run, or declares no dataset.
        """
        return _load(self.path(name))


@cache
def _load(file: Path) -> Dataset:
    name = f"modelgate_dataset_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where inspect finds the source of a function in it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise LanguageProblem(
            "data_failed", f"{file}: {type(error).__name__}: {error}; expected a file that defines DATASET"
        ) from error
    declared = getattr(module, "DATASET", None)
    if not isinstance(declared, Dataset):
        raise LanguageProblem(
            "data_failed",
            f"{file}: found {'no DATASET' if declared is None else type(declared).__name__}, expected "
            "DATASET = Dataset(...) of bench.language.spec",
        )
    return declared
