"""The plugin that pytest finds in an environment where modelgate is installed.

It adds one option and one ini value. Without them it does nothing, and no other module of the suite is imported.

- ``modelgate = true`` in the ini file: the suite's options and fixtures are there, for tests of the project's own.
- ``--modelgate``: in addition, the cases that ship are run on the tasks, models, encoders or rankers that were named.
"""

from __future__ import annotations

import os

import pytest

ENVIRONMENT = "MODELGATE"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what switches the suite on."""
    group = parser.getgroup("modelgate", "Modelgate")
    group.addoption(
        "--modelgate",
        action="store_true",
        help="judge the tasks, models, encoders or rankers that are named, next to this project's own tests",
    )
    parser.addini("modelgate", "the suite's options and fixtures for this project's own tests", "bool")


@pytest.hookimpl(tryfirst=True)  # before conftest.py files are imported, which may use the fixtures
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Register the suite where it was asked for."""
    collects = bool(early_config.known_args_namespace.modelgate)
    if not (collects or early_config.getini("modelgate") or os.environ.get(ENVIRONMENT) == "1"):
        return
    from bench.shipped import plugin_modules, shipped_root  # noqa: PLC0415  nothing of it where it is not used

    if early_config.rootpath == shipped_root():  # its own conftest.py does this
        return
    for name in plugin_modules():
        early_config.pluginmanager.import_plugin(name)
    if collects:
        early_config.pluginmanager.import_plugin("bench.shipped_cases")
