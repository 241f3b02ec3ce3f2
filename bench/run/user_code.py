"""Users' code: Python files of folders, and entry points of packages, that register what is theirs.

There is one way in for datasets, tasks, models, rankers, query sets, metrics, post-processors and acceleration methods: a
file that registers them when it is imported. What ships with the suite under ``fixtures/shipped`` comes in the same way.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from bench.core.errors import UsageProblem
from bench.core.raised import told

ENTRY_POINTS = "modelgate"
Adopter = Callable[[Path, str], bool]
"""Takes a file by its path and text where it has the form of something, such as a dataset file; says whether it did."""


def import_user_code(folders: Iterable[Path], adopters: Sequence[Adopter] = ()) -> None:
    """Import the entry points of installed packages, and all folders, each once per process.

    Raises:
        UsageProblem: what cannot be imported, with the place.
    """
    import_entry_points()
    for folder in folders:
        import_user_dir(folder, adopters)


def import_user_dir(folder: Path, adopters: Sequence[Adopter] = ()) -> ModuleType:
    """Import a folder as a package under its own name, once per process.

    With an ``__init__.py`` that is what runs, and imports what it needs; without one every module in the folder is
    imported, in the order of their names. Files that an adopter takes are not imported.

    Raises:
        UsageProblem: no such folder, a name that another module has, or an exception while it is imported.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise UsageProblem(
            f"--user-dir {folder}: no such folder; expected one with Python files; correct the path"
        )
    name = _module_name(folder.name)
    loaded = sys.modules.get(name)
    if loaded is not None and _is_at(getattr(loaded, "__path__", ()), folder):
        return loaded
    other = _other_module(name, folder)
    if other is not None:
        raise UsageProblem(
            f"--user-dir {folder}: the module {name!r} is there already, in {other}; rename the folder"
        )
    files = [file for file in sorted(folder.glob("[!_.]*.py")) if not _is_adopted(file, adopters)]
    return _import_package(name, folder, files)


def import_entry_points() -> list[str]:
    """Import what installed packages offer under the entry-point group `modelgate`; return the names.

    Raises:
        UsageProblem: an entry point that cannot be imported, with its package.
    """
    found = sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)
    for point in found:
        try:
            point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever the package raises
            raise UsageProblem(
                f"entry point {point.name!r} of {_package(point)} ({point.value}) cannot be imported: "
                f"{told(error, _folder(point))}; fix or uninstall the package"
            ) from error
    return [point.name for point in found]


def skipped_files(folder: Path) -> list[str]:
    """Return the files of a folder with an ``__init__.py`` that no import statement there can name, such as `my-task.py`."""
    if not (folder / "__init__.py").is_file():
        return []
    return [file.name for file in sorted(folder.glob("[!_.]*.py")) if not file.stem.isidentifier()]


def skipped_hint(folder: Path) -> str | None:
    """Return the sentence that files of a folder were not imported, and what to do; None where there are none."""
    skipped = skipped_files(folder)
    if not skipped:
        return None
    better = _module_name(Path(skipped[0]).stem).lstrip("_")
    return (
        f"--user-dir {folder}: {', '.join(skipped)} not imported: with an __init__.py, that imports what is needed, "
        "and no import "
        f"statement can name such a file; rename it, as {better}.py, and import it there"
    )


def _is_adopted(file: Path, adopters: Sequence[Adopter]) -> bool:
    if not adopters:
        return False
    text = file.read_text(encoding="utf-8", errors="replace")
    try:
        return any(adopt(file, text) for adopt in adopters)
    except ValueError as error:  # a name that is taken
        raise UsageProblem(f"--user-dir {file.parent}: {error}") from error


def _module_name(text: str) -> str:
    """Return a module's name for a folder or a file whose own name may be none."""
    return text if text.isidentifier() else "_" + re.sub(r"\W", "_", text)


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown package"


def _folder(point: EntryPoint) -> Path | None:
    """Return the folder of an entry point's package; None where it is not found."""
    try:
        spec = importlib.util.find_spec(point.module.partition(".")[0])
    except (ImportError, ValueError):
        return None
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def _is_at(places: Iterable[str], folder: Path) -> bool:
    return any(Path(place).resolve() == folder for place in places)


def _other_module(name: str, folder: Path) -> str | None:
    """Return where a module of this name is that is not this folder."""
    if name in sys.modules:
        return getattr(sys.modules[name], "__file__", None) or "the interpreter"
    spec = importlib.util.find_spec(name)
    if spec is None or _is_at(spec.submodule_search_locations or (), folder):
        return None
    return spec.origin or str(next(iter(spec.submodule_search_locations or ()), "the interpreter"))


def _import_package(name: str, folder: Path, files: Sequence[Path]) -> ModuleType:
    init = folder / "__init__.py"
    spec: ModuleSpec | None
    if init.is_file():
        spec = importlib.util.spec_from_file_location(name, init, submodule_search_locations=[str(folder)])
        files = ()
    else:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
    assert spec is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    try:
        if spec.loader is not None:
            spec.loader.exec_module(package)
        for file in files:
            _import_file(f"{name}.{_module_name(file.stem)}", file)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the user's code raises, exits and skips of pytest among it
        for loaded in [other for other in sys.modules if other == name or other.startswith(f"{name}.")]:
            del sys.modules[loaded]
        raise UsageProblem(f"--user-dir {folder}: {told(error, folder)}; fix the file") from error
    return package


def _import_file(name: str, file: Path) -> None:
    if name in sys.modules:  # another file of the folder has imported it
        return
    if name.rpartition(".")[2] == file.stem:
        importlib.import_module(name)
        return
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
