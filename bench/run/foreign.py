"""What other plugins write of this machine: pytest's JUnit report and pytest-benchmark's JSON name the host, and paths."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator
from typing import Any

import pytest

from bench.core.files import replace_file
from bench.core.places import Places

# What pytest makes of a test that a signal ended while it was set up: neither a name nor a result.
_NAMELESS = re.compile(r'<testcase time="[^"]*" ?/>')
_HOSTNAME = re.compile(r'(<testsuite [^>]*?) hostname="[^"]*"')


class ForeignFiles:
    """Makes paths relative in what other plugins have written, and leaves out the name of the host.

    Args:
        places: returns what makes paths relative; called at the end, when the run's directory is known.
        names_host: whether the name of the host may be written.
    """

    def __init__(self, places: Callable[[], Places], names_host: bool) -> None:
        self._places, self._names_host = places, names_host

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Rewrite the JUnit report, once its plugin has written it."""
        result = yield
        named = getattr(session.config.option, "xmlpath", None)
        text = os.path.expanduser(os.path.expandvars(str(named or "")))
        path = session.config.invocation_params.dir / text
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            if not self._names_host:
                text = _HOSTNAME.sub(r"\1", text)
            replace_file(path, self._places().tidy(_NAMELESS.sub("", text)))
        return result

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_machine_info(self, machine_info: dict[str, Any]) -> None:
        """Leave out the name of the host."""
        if not self._names_host:
            machine_info.pop("node", None)
