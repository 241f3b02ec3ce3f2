"""Folders and packages of users that register tasks, datasets and models."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from bench.core.errors import UsageProblem

ENTRY_POINTS = "modelgate.tuning"


def import_user_dir(folder: Path) -> ModuleType:
    """Import a folder as a package under its own name, once per process.

    With an ``__init__.py`` that is what runs, and imports what it needs; without one every module in the folder
    is imported, in the order of their names.

    Raises:
        UsageProblem: no such folder, a name that is no module name or that another module has, or an
            exception while it is imported.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise UsageProblem(f"--user-dir {folder}: no such folder; expected one with Python files")
    name = folder.name
    if not name.isidentifier():
        raise UsageProblem(
            f"--user-dir {folder}: {name!r} cannot be a module's name; rename the folder to letters, digits and _"
        )
    loaded = sys.modules.get(name)
    if loaded is not None and _is_at(getattr(loaded, "__path__", ()), folder):
        return loaded
    other = _other_module(name, folder)
    if other is not None:
        raise UsageProblem(
            f"--user-dir {folder}: the module {name!r} is there already, in {other}; rename the folder"
        )
    return _import_package(name, folder)


def import_entry_points() -> list[str]:
    """Import what installed packages offer under the entry-point group `modelgate.tuning`; return the names.

    Raises:
        UsageProblem: an entry point that cannot be imported, with its package.
    """
    found = sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)
    for point in found:
        try:
            point.load()
        except Exception as error:  # whatever the package raises
            raise UsageProblem(
                f"entry point {point.name!r} of {_package(point)} ({point.value}) cannot be imported: "
                f"{type(error).__name__}: {error}; mend or uninstall the package"
            ) from error
    return [point.name for point in found]


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown package"


def _is_at(places: object, folder: Path) -> bool:
    return any(Path(place).resolve() == folder for place in places)  # type: ignore[attr-defined]


def _other_module(name: str, folder: Path) -> str | None:
    """Return where a module of this name is that is not this folder."""
    if name in sys.modules:
        return getattr(sys.modules[name], "__file__", None) or "the interpreter"
    spec = importlib.util.find_spec(name)
    if spec is None or _is_at(spec.submodule_search_locations or (), folder):
        return None
    return spec.origin or str(next(iter(spec.submodule_search_locations or ()), "the interpreter"))


def _import_package(name: str, folder: Path) -> ModuleType:
    init = folder / "__init__.py"
    if init.is_file():
        spec = importlib.util.spec_from_file_location(name, init, submodule_search_locations=[str(folder)])
        names = []
    else:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        names = [file.stem for file in sorted(folder.glob("[!_]*.py")) if file.stem.isidentifier()]
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        if spec.loader is not None:
            spec.loader.exec_module(module)
        for submodule in names:
            importlib.import_module(f"{name}.{submodule}")
    except Exception as error:  # whatever the user's code raises
        for loaded in [other for other in sys.modules if other == name or other.startswith(f"{name}.")]:
            del sys.modules[loaded]
        raise UsageProblem(
            f"--user-dir {folder}: {type(error).__name__}: {error}{_place(error, folder)}; mend it"
        ) from error
    return module


def _place(error: Exception, folder: Path) -> str:
    """Return the innermost line of the folder's files that an exception came through."""
    place, traceback = "", error.__traceback__
    while traceback is not None:
        file = Path(traceback.tb_frame.f_code.co_filename)
        if file.is_relative_to(folder):
            place = f" ({file.relative_to(folder.parent)}, line {traceback.tb_lineno})"
        traceback = traceback.tb_next
    return place
