"""pytest's JUnit file: a test case for each case, with its place, in the form that its reader takes.

This is the only module that touches the semi-private names of pytest's writer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from _pytest.junitxml import xml_key

#: Forms of the file. The schemas of Jenkins' xunit plugin and of Apache Ant have no properties, file or line of a test case.
SCHEMAS = ("full", "jenkins", "ant")
_OF_JENKINS = ("name", "time", "classname", "group")
_OF_ANT = ("name", "time", "classname")
_RESULTS = ("failure", "error", "skipped")
_OUTPUTS = ("system-out", "system-err")


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
        """Leave out what the schema does not have, and put the place into the text of what did not pass.

        Left out in any form is a test that a signal ended while it was under way: pytest notes how long it took, but
        neither a name nor a result, which reads as a pass.
        """
        if self._xml is None:
            return
        written = self._xml.node_reporters_ordered
        written[:] = [reporter for reporter in written if "name" in reporter.to_xml().attrib]
        if self._schema != "jenkins":
            return
        self._xml.node_reporters_ordered[:] = [
            _Written(_of_jenkins(reporter.to_xml())) for reporter in self._xml.node_reporters_ordered
        ]


def junit_path(config: pytest.Config) -> Path | None:
    """Return the file that pytest writes, None where it writes none in this process."""
    xml: Any = config.stash.get(xml_key, None)
    return None if xml is None else Path(xml.logfile)


class _Written:
    """Stands for a test case that is complete."""

    def __init__(self, testcase: Any) -> None:
        self._testcase = testcase

    def to_xml(self) -> Any:
        """Return it."""
        return self._testcase


def _of_jenkins(testcase: Any) -> Any:
    place = _place(testcase)
    for properties in testcase.findall("properties"):
        testcase.remove(properties)
    _keep(testcase, _OF_JENKINS)
    for tag in ("failure", "error"):
        for found in testcase.findall(tag):
            found.text = f"{found.text or ''}\n{place}"
    return testcase


def bring_to_ant(root: ElementTree.Element) -> None:
    """Bring a whole report, in place, into the form of Apache Ant's schema.

    It wants more of a suite than pytest writes, less of a test case, and one result of each: where a test and its
    teardown both failed, the first one stands and the text of the other follows. What a test case printed stands below
    its suite. The type of a failure is the code of its reason.
    """
    if root.tag == "testsuites":
        root.attrib.clear()
    for number, suite in enumerate(root.iter("testsuite")):
        suite.set("id", str(number))
        suite.set("package", "")
        suite.attrib.setdefault("hostname", "localhost")  # what the schema has for a host that is not named
        suite.set("timestamp", suite.get("timestamp", "")[:19])  # neither fractions nor a time zone
        if suite.find("properties") is None:
            suite.insert(0, ElementTree.Element("properties"))
        printed: dict[str, list[str]] = {tag: [] for tag in _OUTPUTS}
        for testcase in suite.findall("testcase"):
            _of_ant(testcase, printed)
        for tag in _OUTPUTS:
            ElementTree.SubElement(suite, tag).text = "".join(printed[tag])


def _of_ant(testcase: ElementTree.Element, printed: dict[str, list[str]]) -> None:
    """Reduce a test case in place; what it printed is added to that of its suite."""
    code = testcase.find("properties/property[@name='reason_code']")
    kind = None if code is None else code.get("value")
    name = f"{testcase.get('classname')}::{testcase.get('name')}"
    place = _place(testcase)
    first: ElementTree.Element | None = None
    for child in list(testcase):
        if child.tag in _RESULTS and first is None:
            first = child
            _keep(child, ("message",))
            child.text = f"{child.text or ''}\n{place}"
            if child.tag != "skipped":
                child.set("type", kind or child.tag)
            continue
        testcase.remove(child)
        if child.tag in _OUTPUTS:
            printed[child.tag].append(f"{name}\n{child.text or ''}\n")
        elif child.tag in _RESULTS and first is not None:
            first.text = f"{first.text or ''}\n\n{child.get('message', '')}\n{child.text or ''}"
    _keep(testcase, _OF_ANT)


def _place(testcase: Any) -> str:
    return ":".join(testcase.attrib[name] for name in ("file", "line") if name in testcase.attrib)


def _keep(element: Any, names: tuple[str, ...]) -> None:
    for name in set(element.attrib) - set(names):
        del element.attrib[name]
