"""docs/plugins.md names exactly what is installed for these tests."""

from __future__ import annotations

from importlib.metadata import version

from other_plugins import REQUIREMENTS, pinned
from suites import ROOT

PAGE = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
# Installed with the suite itself.
OURS = ("pytest-benchmark", "pytest-xdist")


def test_the_table_has_the_versions_of_the_requirements():
    rows = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| pytest-")]
    listed = {row[0]: row[1] for row in rows}
    plugins = {name: number for name, number in pinned().items() if name.startswith("pytest-")}
    assert listed == {**plugins, **{name: version(name) for name in OURS}}
    assert f"pytest {version('pytest')} " in PAGE


def test_every_requirement_is_pinned():
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    assert all("==" in line for line in lines if line and not line.startswith("#"))


def test_every_plugin_of_the_table_is_tried():
    # By the name that -p takes, which is the entry point's.
    words = {"pytest-html": "html", "pytest-json-report": "jsonreport", "pytest-order": "pytest_order"}
    tests = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests/plugins").glob("test_*.py"))
    for name in (*pinned(), *OURS):
        if name.startswith("pytest-"):
            word = words.get(name, name.removeprefix("pytest-").replace("-", "_"))
            assert f'"{word}' in tests or f"_{word}" in tests or f" {word}" in tests or name in tests, name
