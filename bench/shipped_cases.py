"""Adds the cases that ship to the tests of somebody else's project: ``pytest --modelgate``.

Only kinds are run of which the environment, the command line or the ini file names something. Ids of the tests begin with
``modelgate/``, wherever the suite is installed.
"""

from __future__ import annotations

import dataclasses

import pytest

from bench.core.kind import Kind
from bench.kinds import KINDS
from bench.run.options import given_by_environment, given_flags, ini_of
from bench.shipped import shipped_root


@pytest.hookimpl(tryfirst=True)  # before -k and -m choose
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add a module of cases for each kind of which something was named.

    Raises:
        pytest.UsageError: nothing was named.
    """
    kinds = [kind for kind in KINDS.values() if _is_named(config, kind)]
    if not kinds:
        raise pytest.UsageError(
            "--modelgate: found nothing to judge, expected tasks, models, encoders or rankers, such as --tasks anno.json; "
            "name some, or run what ships with `modelgate bench`"
        )
    for kind in kinds:
        name = f"test_{kind.name}.py"
        path = shipped_root() / "cases" / name
        if path.is_file():
            module = pytest.Module.from_parent(session, path=path, nodeid=f"modelgate/{name}")
            items.extend(session.genitems(module))


def _is_named(config: pytest.Config, kind: Kind) -> bool:
    workerinput = getattr(config, "workerinput", {})
    arguments = workerinput.get("modelgate_arguments", config.invocation_params.args)
    inis = (ini_of(field) for field in dataclasses.fields(kind.options))
    return bool(given_flags(arguments, kind.options) or given_by_environment(kind.options)) or any(
        config.getini(name) not in (None, [], "", False) for name in inis if name is not None
    )
