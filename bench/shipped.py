"""Where the cases, fixtures and small models that ship are: next to this package in a clone, inside it in a wheel.

The wheel maps ``cases/``, ``fixtures/``, ``conftest.py`` and ``pytest.ini`` to ``bench/_shipped``; see pyproject.toml. The
library itself opens none of them: its commands and its plugin do.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

#: Name under which the fixtures are imported in somebody else's project, which may well have ``fixtures`` of its own.
FIXTURES = "modelgate_fixtures"
_PACKAGE = Path(__file__).resolve().parent


def shipped_root() -> Path:
    """Return the folder that holds ``cases/`` and ``fixtures/``.

    Raises:
        FileNotFoundError: neither a clone nor an installed wheel has them.
    """
    for root in (_PACKAGE / "_shipped", _PACKAGE.parent):
        if (root / "fixtures" / "cases.py").is_file() and (root / "cases").is_dir():
            return root
    raise FileNotFoundError(
        f"found no cases and fixtures in {_PACKAGE / '_shipped'} or {_PACKAGE.parent}, expected those that ship; install "
        "modelgate again"
    )


def plugin_modules() -> tuple[str, ...]:
    """Make the fixtures that ship importable; return the modules that pytest has to register, in their order."""
    if FIXTURES not in sys.modules:
        folder = shipped_root() / "fixtures"
        spec = importlib.util.spec_from_file_location(
            FIXTURES, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None, folder
        assert spec.loader is not None, folder
        module = importlib.util.module_from_spec(spec)
        sys.modules[FIXTURES] = module
        spec.loader.exec_module(module)
    return ("bench.plugin", f"{FIXTURES}.run", f"{FIXTURES}.cases")
