"""Plugins that report: each shows every case once, with its verdict and its reason."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest
from comparing import by_id
from other_plugins import VERDICTS, Place, needs_plugins, properties, verdicts
from suites import ROOT

pytestmark = [pytest.mark.slow, needs_plugins]

OUTCOMES = {identity: "passed" if verdict == "pass" else "failed" for identity, verdict in VERDICTS.items()}
# What the schema of Jenkins' xunit plugin (junit-10.xsd) allows, by element: attributes and children.
JENKINS = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "group", "id", "file"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name", "time", "classname", "group"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    **{tag: ({"type", "message"}, set()) for tag in ("failure", "error", "skipped")},
    **{tag: (set(), set()) for tag in ("system-out", "system-err")},
}  # fmt: skip

# What the schema of Apache Ant (JUnit.xsd of JUnitReport) demands, by element: attributes, and children in order.
ANT = {
    "testsuites": ((), ("testsuite",)),
    "testsuite": (
        ("name", "timestamp", "hostname", "tests", "failures", "errors", "time", "package", "id"),
        ("properties", "testcase", "system-out", "system-err"),
    ),
    "testcase": (("name", "classname", "time"), ("failure", "error", "skipped")),
    "failure": (("type",), ()),
    "error": (("type",), ()),
    "skipped": ((), ()),
    "properties": ((), ()),
    "system-out": ((), ()),
    "system-err": ((), ()),
}
ANT_MAY_HAVE = {"testsuite": {"skipped"}, **{tag: {"message"} for tag in ("failure", "error", "skipped")}}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A run without another plugin, with all that its summary can show: its folder, and what it left."""
    place = Place(tmp_path_factory.mktemp("plain"))
    return place, place.evaluated("-v", "-rA")


def named(nodeid):
    return nodeid.partition("[")[2].removesuffix("]")


def test_json_report_has_outcomes_and_properties(place):
    finished = place.evaluated(
        "--json-report", "--json-report-file", "report.json", plugins="pytest_jsonreport metadata"
    )
    report = json.loads((place.directory / "report.json").read_text())
    assert {named(test["nodeid"]): test["outcome"] for test in report["tests"]} == OUTCOMES
    assert (report["summary"]["total"], report["exitcode"]) == (4, finished.code)
    for test in report["tests"]:
        record = by_id(finished)[named(test["nodeid"])]
        assert {"verdict": record["verdict"]} in test["user_properties"]
        assert len({name for pair in test["user_properties"] for name in pair}) == len(
            test["user_properties"]
        )
        if record["verdict"] != "pass":
            assert test["call"]["crash"]["message"] == record["reason"]


@pytest.mark.parametrize(("plugins", "workers"), [("", ()), ("xdist", ("-n", "1"))], ids=["serial", "n1"])
def test_report_log_has_each_call(place, plugins, workers):
    place.evaluated("--report-log", "log.json", *workers, plugins=f"pytest_reportlog {plugins}")
    lines = [json.loads(line) for line in (place.directory / "log.json").read_text().splitlines()]
    calls = [line for line in lines if line.get("when") == "call"]
    assert {named(line["nodeid"]): line["outcome"] for line in calls} == OUTCOMES


def test_html_has_each_case_and_each_attempt(place):
    finished = place.evaluated(
        "--html", "report.html", "--self-contained-html", "--reruns", "1", plugins="html metadata rerunfailures"
    )  # fmt: skip
    assert verdicts(finished) == VERDICTS, finished.output
    page = (place.directory / "report.html").read_text()
    for identity, record in by_id(finished).items():
        assert identity in page
        assert record["verdict"] == "pass" or record["reason"].split(";")[-1][:40] in page
    assert re.search(r"[1-9]\d* Reruns", page)


@pytest.mark.parametrize(
    ("plugins", "arguments"),
    [("instafail", ("--instafail",)), ("sugar", ()), ("sugar xdist", ("-n", "1"))],
    ids=["instafail", "sugar", "sugar-n1"],
)
def test_what_is_shown_at_once_has_the_reasons(place, plugins, arguments):
    finished = place.evaluated("-v", *arguments, plugins=plugins)
    assert verdicts(finished) == VERDICTS, finished.output
    said = " ".join(finished.output.split())  # a reason keeps to the columns
    for record in by_id(finished).values():
        assert record["verdict"] == "pass" or record["reason"] in said


@pytest.mark.parametrize(("plugins", "workers"), [("", ()), ("xdist", ("-n", "1"))], ids=["serial", "n1"])
def test_what_did_not_pass_is_annotated_with_its_reason_invalid_entries_too(place, plugins, workers):
    finished = place.evaluated(
        *workers, plugins=f"pytest_github_actions_annotate_failures {plugins}", GITHUB_ACTIONS="true"
    )
    notes = re.findall(r"::error file=(\S+),line=(\d+)::\S+\[(\S+)\]%0A%0A(.*)", finished.output)
    records = {identity: r for identity, r in by_id(finished).items() if r["verdict"] != "pass"}
    assert {name for _, _, name, _ in notes} == set(records)
    assert len(notes) == 3
    for file, line, name, text in notes:
        assert file.endswith("cases/test_evaluated.py")
        assert int(line) > 1
        assert text.replace("%25", "%") == records[name]["reason"]


def test_a_line_of_the_short_summary_is_the_outcome_the_node_id_and_the_reason(plain):
    _, finished = plain
    assert re.search(r"baseline_not_beaten +\[", finished.output), (
        "the progress still shows what was measured"
    )
    summary = finished.output.partition("short test summary info")[2]
    lines = re.findall(
        r"^(\w+) \S*cases/test_evaluated.py::test_evaluated\[(\S+)\](.*)$", summary, re.MULTILINE
    )
    assert {name: word for word, name, _ in lines} == {name: out.upper() for name, out in OUTCOMES.items()}
    assert all(rest.startswith(" - ") for word, _, rest in lines if word == "FAILED")


def failures_with_place(place, finished):
    """Return the failures of the JUnit file with their records: of what did not pass, with reason and place."""
    found = []
    for identity, testcase in place.testcases().items():
        record = by_id(finished)[identity]
        failures = list(testcase.iter("failure"))
        assert len(failures) == (0 if record["verdict"] == "pass" else 1)
        for failure in failures:
            assert failure.get("message") == record["reason"]
            assert re.search(r"cases/test_evaluated\.py:\d+$", failure.text)
            found.append((failure, record))
    return found


def strange(element):
    """Yield what the schema does not allow."""
    attributes, children = JENKINS.get(element.tag, (set(), set()))
    yield from (f"{element.tag}@{name}" for name in element.attrib if name not in attributes)
    for child in element:
        if child.tag not in children:
            yield f"{element.tag}/{child.tag}"
        yield from strange(child)


@pytest.mark.parametrize(
    ("plugins", "arguments"),
    [("", ()), ("xdist rerunfailures", ("-n", "1", "--reruns", "1"))],
    ids=["serial", "n1-reruns"],
)
def test_junit_for_jenkins_keeps_to_its_schema_and_has_reason_and_place(place, plugins, arguments):
    finished = place.evaluated("--junit-schema", "jenkins", *arguments, plugins=plugins)
    root = ElementTree.parse(place.directory / "junit.xml").getroot()
    assert list(strange(root)) == []
    assert len(failures_with_place(place, finished)) == 3


def refused_by_ant(element):
    """Yield what is missing or too much by the schema of Ant."""
    attributes, children = ANT[element.tag]
    allowed = {*attributes, *ANT_MAY_HAVE.get(element.tag, ())}
    yield from (f"{element.tag} lacks {name}" for name in attributes if name not in element.attrib)
    yield from (f"{element.tag}@{name}" for name in element.attrib if name not in allowed)
    tags = [child.tag for child in element]
    if any(tag not in children for tag in tags) or tags != sorted(tags, key=children.index):
        yield f"{element.tag} has {tags}"
    if element.tag == "testcase" and len(tags) > 1:
        yield f"a test case has {len(tags)} results"
    if element.tag == "testsuite":
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", element.get("timestamp")):
            yield f"its timestamp is {element.get('timestamp')}"
        yield from (f"no {tag}" for tag in ("properties", "system-out", "system-err") if tags.count(tag) != 1)
    for child in element:
        yield from refused_by_ant(child)


@pytest.mark.parametrize(("plugins", "workers"), [("", ()), ("xdist", ("-n", "1"))], ids=["serial", "n1"])
def test_junit_for_ant_keeps_to_its_schema_and_has_reason_code_and_place(place, plugins, workers):
    finished = place.evaluated("--junit-schema", "ant", "-o", "junit_logging=all", *workers, plugins=plugins)
    root = ElementTree.parse(place.directory / "junit.xml").getroot()
    assert list(refused_by_ant(root)) == []
    for failure, record in failures_with_place(place, finished):
        assert failure.get("type") == record["reason_code"]


def test_what_is_not_allowed_by_the_schema_of_ant_is_found(plain):
    place, _ = plain
    found = list(refused_by_ant_file(place.directory / "junit.xml"))
    assert "testsuite lacks package" in found
    assert "testcase@file" in found
    assert any(line.startswith("its timestamp is") for line in found)


def refused_by_ant_file(path):
    """Yield what is wrong with a file, its properties of test cases aside, of which the table knows nothing."""
    root = ElementTree.parse(path).getroot()
    for testcase in root.iter("testcase"):
        for found in testcase.findall("properties"):
            testcase.remove(found)
    return refused_by_ant(root)


def test_junit_has_reason_properties_file_and_line(plain):
    place, finished = plain
    root = ElementTree.parse(place.directory / "junit.xml").getroot()
    assert {"testcase/properties", "testcase@file", "testcase@line"} <= set(strange(root))
    (suite,) = root.iter("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "3", "0")
    for identity, testcase in place.testcases().items():
        record = by_id(finished)[identity]
        assert properties(testcase)["verdict"] == record["verdict"]
        assert testcase.get("file").endswith("cases/test_evaluated.py")
        line = (ROOT / "cases/test_evaluated.py").read_text().splitlines()[int(testcase.get("line")) - 1]
        assert line.startswith("def test_evaluated(")
        messages = [failure.get("message") for failure in testcase.iter("failure")]
        assert messages == ([] if record["verdict"] == "pass" else [record["reason"]])


def test_parameters_are_shown_by_their_ids(place):
    finished = place.evaluated("-k", "bad or broken", "--setup-show", "--showlocals", "--full-trace")
    assert "EvaluatedCase(" not in finished.output
    assert "evaluated_case[evaluated-bad]" in finished.output
