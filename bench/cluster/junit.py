"""One JUnit file of the files that jobs wrote. What a job did not live to write comes from the records."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from bench.core.files import replace_file
from bench.core.record import Json

NAME = "junit.xml"
_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}
_OUTPUTS = ("system-out", "system-err")
Address = tuple[str, str]


@dataclass(frozen=True)
class Found:
    """A case of the joined run.

    Attributes:
        nodeid: of its test.
        attempt: folder of the attempt whose record counts.
        record: as JSON.
    """

    nodeid: str
    attempt: Path
    record: Json


def write_junit(file: Path, attempts: Sequence[Path], cases: Sequence[Found]) -> None:
    """Write the file: of a case what the attempt wrote whose record counts, of any other test what the last attempt wrote.

    Args:
        file: where to write.
        attempts: folders, in any order of the jobs, each job's in the order of its attempts.
        cases: of the joined run.

    Raises:
        OSError: when it cannot be written.
    """
    suites = {attempt: suite for attempt in attempts if (suite := _suite(attempt / NAME)) is not None}
    written = {
        attempt: {_address(testcase): testcase for testcase in suite.iter("testcase")}
        for attempt, suite in suites.items()
    }
    chosen: dict[Address, ElementTree.Element] = {}
    for testcases in written.values():
        chosen |= testcases
    for case in cases:
        address = address_of(case.nodeid)
        testcase = written.get(case.attempt, {}).get(address)
        chosen[address] = _made(address, case.record) if testcase is None else testcase
    first = next(iter(suites.values()), None)
    suite = ElementTree.Element("testsuite", {"name": "pytest"} if first is None else dict(first.attrib))
    properties = None if first is None else first.find("properties")
    if properties is not None:
        suite.append(properties)
    suite.extend(chosen.values())
    for name, tag in {"tests": None, **_COUNTED}.items():
        if first is None or name in first.attrib:
            counted = (
                chosen.values()
                if tag is None
                else [one for one in chosen.values() if one.find(tag) is not None]
            )
            suite.set(name, str(len(list(counted))))
    suite.set("time", f"{sum(float(one.get('time') or 0) for one in chosen.values()):.3f}")
    for tag in _OUTPUTS:
        texts = [one.text or "" for part in suites.values() for one in part.findall(tag)]
        if texts:
            ElementTree.SubElement(suite, tag).text = "".join(texts)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_file(file, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def address_of(nodeid: str) -> Address:
    """Return class name and name of a test in JUnit's file, as pytest makes them of its node id.

    Example:
        >>> address_of("cases/test_language.py::test_language[tiny-arc]")
        ('cases.test_language', 'test_language[tiny-arc]')
    """
    path, bracket, parameters = nodeid.partition("[")
    names = path.split("::")
    names[0] = names[0].replace("/", ".").removesuffix(".py")
    return ".".join(names[:-1]), names[-1] + bracket + parameters


def _suite(file: Path) -> ElementTree.Element | None:
    with suppress(OSError, ElementTree.ParseError):
        return next(ElementTree.parse(file).getroot().iter("testsuite"), None)
    return None


def _address(testcase: ElementTree.Element) -> Address:
    return testcase.get("classname", ""), testcase.get("name", "")


def _made(address: Address, record: Json) -> ElementTree.Element:
    """Return the test case of a record."""
    attributes = {"classname": address[0], "name": address[1], "time": f"{record.get('duration_s') or 0:.3f}"}
    testcase = ElementTree.Element("testcase", attributes)
    verdict = record["verdict"]
    tag = {"pass": None, "skip": "skipped", "fail": "failure", "inconclusive": "failure"}.get(
        verdict, "error"
    )
    if tag is not None:
        result = ElementTree.SubElement(testcase, tag, {"message": str(record["reason"])})
        result.text = f"{record['reason_code']}: {record['reason']}"
        if tag != "skipped":
            result.set("type", str(record["reason_code"]))
    return testcase
