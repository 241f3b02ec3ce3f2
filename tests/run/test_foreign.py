"""What other plugins write stays in its form when paths and names are replaced in it."""

import errno
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from _pytest.junitxml import xml_key

from bench.core.places import Places
from bench.run.foreign import ForeignFiles

REPORT = """<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" hostname="node7">
<testcase name="a[&lt;b&gt;]" file="/repo/cases/a.py"><failure message="no /tmp/run-1/x &amp; no /home/ann/y">at /home/ann
</failure><system-out>in /tmp/run-1 and /tmp/pytest-of-ann/x, café</system-out></testcase></testsuite></testsuites>"""


def rewritten(path: Path, *, names_host: bool) -> ElementTree.Element:
    path.write_text(REPORT, encoding="utf-8")
    places = Places(Path("/repo"), None, Path("/home/ann"), Path("/tmp/run-1"), {"<user>": "ann"})
    config = SimpleNamespace(stash={xml_key: SimpleNamespace(logfile=str(path))})
    hook = ForeignFiles(lambda: places, names_host).pytest_sessionfinish(SimpleNamespace(config=config))
    next(hook)
    with pytest.raises(StopIteration):
        hook.send(None)
    return ElementTree.parse(path).getroot()


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


@pytest.mark.parametrize(("names_host", "expected"), [(True, "node7"), (False, None)])
def test_the_host_is_named_where_it_may_be(tmp_path, names_host, expected):
    (suite,) = rewritten(tmp_path / "junit.xml", names_host=names_host).iter("testsuite")
    assert suite.get("hostname") == expected
