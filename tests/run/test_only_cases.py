"""`--only-cases`: of what is selected only what a file names is run, and a file that names something else is refused."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bench.core.errors import UsageProblem
from bench.run.only import keep_only

IDS = ("a.py::test[one]", "a.py::test[two words]", "a.py::test[three]")


@pytest.fixture
def session():
    left_out = []

    def pytest_deselected(items):
        left_out.extend(items)

    hook = SimpleNamespace(pytest_deselected=pytest_deselected)
    items = [SimpleNamespace(nodeid=nodeid) for nodeid in IDS]
    return SimpleNamespace(items=items, config=SimpleNamespace(hook=hook), left_out=left_out)


def test_what_the_file_names_is_kept_in_the_order_of_the_run(session, tmp_path):
    file = tmp_path / "cases.txt"
    file.write_text(f"{IDS[2]}\n\n{IDS[1]}\r\n{IDS[1]}\n")
    keep_only(session, file)
    assert [item.nodeid for item in session.items] == [IDS[1], IDS[2]]
    assert [item.nodeid for item in session.left_out] == [IDS[0]]


def test_without_a_file_everything_is_kept(session):
    keep_only(session, None)
    assert [item.nodeid for item in session.items] == list(IDS)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"a.py::test[four]\n", r"found a.py::test\[four\], which is not among the 3 that are selected"),
        (b"\n", "found no node id"),
        (b"\xff\n", "it is no text in UTF-8"),
        (None, "found no file that can be read"),
    ],
)
def test_a_file_that_names_something_else_is_refused(session, tmp_path, content, found):
    file = tmp_path / "cases.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageProblem, match=found):
        keep_only(session, file)
    assert len(session.items) == 3
