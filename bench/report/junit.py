"""pytest's JUnit file: a test case for each case, with its place, in the form that its reader takes.

This is the only module that touches the semi-private names of pytest's writer.
"""

from __future__ import annotations

from typing import Any

import pytest
from _pytest.junitxml import xml_key

#: Forms of the file. The schema of Jenkins' xunit plugin has no properties, file or line of a test case.
SCHEMAS = ("full", "jenkins")
_OF_JENKINS = ("name", "time", "classname", "group")


class JUnit:
    """Shapes the file that pytest writes, in the process that writes it.

    Args:
        config: of pytest; without ``--junitxml`` nothing is done.
        schema: one of :data:`SCHEMAS`.
    """

    def __init__(self, config: pytest.Config, schema: str) -> None:
        self._xml: Any = config.stash.get(xml_key, None)
        self._schema = schema
        self._open: dict[str, Any] = {}
        self._again: set[str] = set()
        if self._xml is not None:
            self._xml.family = "xunit1"  # which has file and line

    def take(self, report: pytest.TestReport, *, ends: bool) -> None:
        """Prepare the test case of a report of a case, before pytest writes it.

        Args:
            report: of any phase.
            ends: whether it is of the last attempt; the test cases of earlier ones are left out.
        """
        if self._xml is None:
            return
        reporter, nodeid = self._xml.node_reporter(report), report.nodeid
        before = self._open.get(nodeid)
        if nodeid in self._again and before is not reporter:
            self._again.discard(nodeid)
            self._xml.node_reporters_ordered.remove(before)
        if not ends:
            self._again.add(nodeid)
        self._open[nodeid] = reporter
        if report.location[1] is not None:
            reporter.add_attribute("line", report.location[1] + 1)  # pytest counts from 0

    def finish(self) -> None:
        """Leave out what the schema does not have, and put the place into the text of what did not pass."""
        if self._xml is None or self._schema != "jenkins":
            return
        self._xml.node_reporters_ordered[:] = [
            _Written(_of_jenkins(reporter.to_xml())) for reporter in self._xml.node_reporters_ordered
        ]


class _Written:
    """Stands for a test case that is complete."""

    def __init__(self, testcase: Any) -> None:
        self._testcase = testcase

    def to_xml(self) -> Any:
        """Return it."""
        return self._testcase


def _of_jenkins(testcase: Any) -> Any:
    place = ":".join(testcase.attrib[name] for name in ("file", "line") if name in testcase.attrib)
    for properties in testcase.findall("properties"):
        testcase.remove(properties)
    for name in set(testcase.attrib) - set(_OF_JENKINS):
        del testcase.attrib[name]
    for tag in ("failure", "error"):
        for found in testcase.findall(tag):
            found.text = f"{found.text or ''}\n{place}"
    return testcase
