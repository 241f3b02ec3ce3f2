"""The plugin that pytest finds in an environment where modelgate is installed.

It adds one option and one ini value. Without them it does nothing, and no other module of the suite is imported: it stands
outside of the package ``bench``, since another project may well have a ``bench`` of its own.

- ``modelgate = true`` in the ini file: the suite's options and fixtures are there, for tests of the project's own.
- ``--modelgate``: in addition, the cases that ship are run on the tasks, models, encoders or rankers that were named.

``MODELGATE=1`` in the environment is the same as the ini value.
"""

from __future__ import annotations

import copy
import importlib.util
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from _pytest.config.findpaths import determine_setup, locate_config

ENVIRONMENT = "MODELGATE"
FLAG = "--modelgate"
_LEFT = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add what switches the suite on; where it is on already, all its options, before any is read."""
    group = parser.getgroup("modelgate", "Modelgate")
    group.addoption(
        FLAG,
        action="store_true",
        help="judge the tasks, models, encoders or rankers that are named, next to this project's own tests",
    )
    parser.addini("modelgate", "the suite's options and fixtures for this project's own tests", "bool")
    config = pluginmanager.get_plugin("pytestconfig")
    if config is None:
        return
    collects = FLAG in config.invocation_params.args or getattr(config.option, "modelgate", False)
    if collects or os.environ.get(ENVIRONMENT) == "1" or _is_on_in(config.invocation_params.dir):
        _register(pluginmanager, collects=bool(collects))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Register the suite where the ini file switches it on; see that it is the right ini file.

    It is there before conftest.py files are imported, which may use the fixtures.

    Raises:
        pytest.UsageError: pytest looked for the ini file next to what an option names.
    """
    manager = early_config.pluginmanager
    if early_config.getini("modelgate"):
        _register(manager, collects=False)
    if _is_registered(manager):
        _check_ini(early_config)
    yield
    if _LEFT in early_config.stash and not _is_registered(manager):
        # In the folder of what ships, but its conftest.py is not among those of this run.
        _import(manager, collects=early_config.stash[_LEFT])
        _check_ini(early_config)


def _is_registered(manager: pytest.PytestPluginManager) -> bool:
    return manager.has_plugin("bench.plugin")


def _check_ini(config: pytest.Config) -> None:
    """Refuse the ini file of another folder: pytest chooses it before plugins have said which options take a path."""
    if hasattr(config, "workerinput"):
        return
    known = config._parser.parse_known_args(list(config.invocation_params.args), copy.copy(config.option))
    _, right, *_ = determine_setup(
        inifile=known.inifilename,
        override_ini=known.override_ini,
        args=known.file_or_dir,
        rootdir_cmd_arg=known.rootdir or None,
        invocation_dir=config.invocation_params.dir,
    )
    if right != config.inipath:
        raise pytest.UsageError(
            f"{config.inipath or 'no ini file'}: found pytest reading it for the sake of a path that an option of modelgate "
            f"names, expected {right or 'no ini file'}; write such options with an equals sign, as in --prompts=FILE"
        )


def _is_on_in(folder: Path) -> bool:
    """Whether the ini file that a folder goes by switches the suite on."""
    try:
        _, path, values, *_ = locate_config(folder, [folder])
    except (pytest.UsageError, OSError, ValueError):  # pytest itself will say so
        return False
    value = values.get("modelgate")
    text = str(getattr(value, "value", value)).strip().lower()
    return path is not None and text in ("1", "true", "yes", "on")


def _register(manager: pytest.PytestPluginManager, *, collects: bool) -> None:
    if _is_registered(manager):
        return
    _require_own_package()
    from bench.shipped import shipped_root  # noqa: PLC0415  nothing of it where it is not used

    config = manager.get_plugin("pytestconfig")
    assert config is not None, "pytest registers its configuration first"
    root = shipped_root()
    named = (config.invocation_params.dir, *map(Path, map(str, getattr(config, "args", ()) or ())))
    if any((root / "conftest.py").is_file() and place.absolute().is_relative_to(root) for place in named):
        config.stash[_LEFT] = collects or config.stash.get(_LEFT, False)  # to its own conftest.py
        return
    _import(manager, collects=collects)


def _require_own_package() -> None:
    """Refuse a package ``bench`` that is not the suite's.

    Raises:
        pytest.UsageError: another one comes first on the path.
    """
    spec = importlib.util.find_spec("bench")
    places = [] if spec is None else [*map(Path, spec.submodule_search_locations or ())]
    if not any((place / "shipped.py").is_file() for place in places):
        found = "none" if spec is None else f"the one in {places[0] if places else spec.origin}"
        raise pytest.UsageError(
            f"modelgate: found {found} where its own package `bench` was expected; run `pytest` in place of "
            "`python -m pytest`, which puts this folder before what is installed, or give that package another name"
        )


def _import(manager: pytest.PytestPluginManager, *, collects: bool) -> None:
    from bench.shipped import plugin_modules  # noqa: PLC0415  as above

    for name in plugin_modules():
        manager.import_plugin(name)
    if collects:
        manager.import_plugin("bench.shipped_cases")
