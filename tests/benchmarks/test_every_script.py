"""Every script in benchmarks/ says what it does, and has a test that runs it."""

from pathlib import Path

import pytest
from suites import ROOT

SCRIPTS = sorted(
    file.stem for file in (ROOT / "benchmarks").glob("*.py") if "__main__" in file.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_shows_the_options(name, run_script):
    shown = run_script(f"{name}.py", "--help")
    assert shown.startswith(f"usage: {name}.py")
    assert "options:" in shown


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_test_runs_the_script(name):
    """As a user does, or within the test where what it runs is tested with another script."""
    text = Path(__file__).with_name(f"test_{name}_script.py").read_text(encoding="utf-8")
    assert f'run_script("{name}.py"' in text.replace("(\n        ", "(") or f"{name}.main()" in text
