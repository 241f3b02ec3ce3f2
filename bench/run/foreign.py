"""What other plugins write of this machine: pytest's JUnit report and pytest-benchmark's JSON name the host, and paths."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.core.files import replace_file
from bench.core.places import Places
from bench.report.junit import SCHEMAS, bring_to_ant, junit_path
from bench.report.terminal import show_line


class ForeignFiles:
    """Makes paths relative in what other plugins have written, and leaves out the name of the host.

    Args:
        places: returns what makes paths relative; called at the end, when the run's directory is known.
        names_host: whether the name of the host may be written.
        schema: of the JUnit report, one of :data:`bench.report.junit.SCHEMAS`.
    """

    def __init__(self, places: Callable[[], Places], names_host: bool, schema: str = SCHEMAS[0]) -> None:
        self._places, self._names_host, self._schema = places, names_host, schema

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Rewrite the JUnit report, once its plugin has written it."""
        result = yield
        path = junit_path(session.config)
        if path is not None and path.is_file():
            try:
                text = self._tidied(path.read_text(encoding="utf-8"))
            except (ElementTree.ParseError, UnicodeDecodeError) as problem:
                show_line(
                    session.config,
                    f"--junitxml {path}: found no whole XML ({problem}) and left it as it is; where several runs write "
                    "this file, give each one of its own",
                )
                return result
            try:
                replace_file(path, text)
            except OSError:  # no room for two of them
                path.write_text(text, encoding="utf-8")
        return result

    def _tidied(self, text: str) -> str:
        """Return a report with relative paths; element by element, since what stands for a name is no XML."""
        root, places = ElementTree.fromstring(text), self._places()
        for element in root.iter():
            if element.tag == "testsuite" and not self._names_host:
                element.attrib.pop("hostname", None)
            element.attrib.update({name: places.tidy(value) for name, value in element.attrib.items()})
            element.text, element.tail = places.tidy(element.text), places.tidy(element.tail)
        if self._schema == "ant":
            bring_to_ant(root)
        return f'<?xml version="1.0" encoding="utf-8"?>{ElementTree.tostring(root, encoding="unicode")}'

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_machine_info(self, machine_info: dict[str, Any]) -> None:
        """Leave out the name of the host."""
        if not self._names_host:
            machine_info.pop("node", None)
