"""What other plugins write stays in its form when paths and names are replaced in it."""

import errno
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from _pytest.junitxml import xml_key

from bench.core.places import Places
from bench.report.junit import bring_to_ant
from bench.run.foreign import ForeignFiles

REPORT = """<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" hostname="node7">
<testcase name="a[&lt;b&gt;]" file="/repo/cases/a.py"><failure message="no /tmp/run-1/x &amp; no /home/ann/y">at /home/ann
</failure><system-out>in /tmp/run-1 and /tmp/pytest-of-ann/x, café</system-out></testcase></testsuite></testsuites>"""


def rewritten(path: Path, *, names_host: bool) -> ElementTree.Element:
    path.write_text(REPORT, encoding="utf-8")
    end(path, names_host=names_host)
    return ElementTree.parse(path).getroot()


def end(path: Path, *, names_host: bool = False) -> list[str]:
    """End a run whose report stands at a path; return the lines that it prints."""
    lines: list[str] = []
    reporter = SimpleNamespace(ensure_newline=list, write=lambda line, **_: lines.append(line))
    places = Places(Path("/repo"), None, Path("/home/ann"), Path("/tmp/run-1"), {"<user>": "ann"})
    config = SimpleNamespace(
        stash={xml_key: SimpleNamespace(logfile=str(path))},
        pluginmanager=SimpleNamespace(getplugin={"terminalreporter": reporter}.get),
    )
    hook = ForeignFiles(lambda: places, names_host).pytest_sessionfinish(SimpleNamespace(config=config))
    next(hook)
    with pytest.raises(StopIteration):
        hook.send(None)
    return lines


def test_a_report_is_still_xml_when_names_in_it_are_replaced(tmp_path):
    root = rewritten(tmp_path / "junit.xml", names_host=False)
    (case,) = root.iter("testcase")
    (failure,), (output,) = root.iter("failure"), root.iter("system-out")
    assert case.attrib == {"name": "a[<b>]", "file": "cases/a.py"}
    assert failure.get("message") == "no <scratch>/x & no ~/y"
    assert (failure.text or "").strip() == "at ~"
    assert output.text == "in <scratch> and /tmp/pytest-of-<user>/x, café"


def test_a_disk_without_room_for_a_second_report_still_gets_it_rewritten(tmp_path, monkeypatch):
    def full(path, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bench.run.foreign.replace_file", full)
    (suite,) = rewritten(tmp_path / "junit.xml", names_host=False).iter("testsuite")
    assert suite.get("hostname") is None


@pytest.mark.parametrize("begun", ["", REPORT[:200]])
def test_a_report_that_another_run_is_writing_is_left_to_it(tmp_path, begun):
    path = tmp_path / "junit.xml"
    path.write_text(begun, encoding="utf-8")
    (line,) = end(path)
    assert line.startswith(f"--junitxml {path}: found no whole XML (")
    assert "give each one of its own" in line
    assert path.read_text(encoding="utf-8") == begun


@pytest.mark.parametrize(("names_host", "expected"), [(True, "node7"), (False, None)])
def test_the_host_is_named_where_it_may_be(tmp_path, names_host, expected):
    (suite,) = rewritten(tmp_path / "junit.xml", names_host=names_host).iter("testsuite")
    assert suite.get("hostname") == expected


def test_for_ant_one_result_stands_for_a_test_and_its_teardown_that_both_failed():
    root = ElementTree.fromstring(
        '<testsuites name="all"><testsuite timestamp="2026-01-02T03:04:05.678+00:00">'
        '<testcase classname="c" name="t" time="1" file="f.py" line="7"><properties><property name="reason_code" '
        'value="too_slow"/></properties><failure message="slow">a</failure><error message="stuck">b</error>'
        '<system-out>said</system-out></testcase><testcase classname="c" name="u" time="0"><skipped type="x" '
        'message="no model"/></testcase></testsuite></testsuites>'
    )
    bring_to_ant(root)
    (suite,) = root
    assert [child.tag for child in suite] == [
        "properties",
        "testcase",
        "testcase",
        "system-out",
        "system-err",
    ]
    assert suite.attrib == {
        "timestamp": "2026-01-02T03:04:05",
        "id": "0",
        "package": "",
        "hostname": "localhost",
    }
    (failure,), (skipped,) = suite.findall("testcase")
    assert failure.attrib == {"message": "slow", "type": "too_slow"}
    assert [line for line in failure.text.splitlines() if line] == ["a", "f.py:7", "stuck", "b"]
    assert skipped.attrib == {"message": "no model"}
    assert suite.findtext("system-out") == "c::t\nsaid\n"
    assert root.attrib == {}
