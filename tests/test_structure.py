"""The house keeps its order: short modules, no logic in packages. `make lint` checks who may import whom."""

from __future__ import annotations

import ast
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "bench").rglob("*.py"))
LONGEST, MEDIAN = 400, 120


def lengths(files):
    return {file: len(file.read_text(encoding="utf-8").splitlines()) for file in files}


def test_no_module_is_long():
    long = {str(file.relative_to(ROOT)): n for file, n in lengths(MODULES).items() if n > LONGEST}
    assert long == {}


def test_most_modules_are_short():
    assert median(n for file, n in lengths(MODULES).items() if file.name != "__init__.py") < MEDIAN


@pytest.mark.parametrize(
    "file", [file for file in MODULES if file.name == "__init__.py"], ids=lambda file: file.parent.name
)
def test_a_package_holds_no_logic(file):
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.Expr)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert [node for node in tree.body if not isinstance(node, allowed)] == []
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert calls == []


def test_no_two_classes_have_one_name():
    places: dict[str, list[str]] = {}
    for file in MODULES:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(file.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_no_two_test_files_have_one_name():
    """Without packages, pytest imports them by their bare names."""
    names = [file.name for file in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []
