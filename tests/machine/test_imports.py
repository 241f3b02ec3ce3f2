"""What is imported by every run, and that no garbage is looked for while frameworks are imported."""

from __future__ import annotations

import gc
import importlib
import subprocess
import sys
from importlib.util import find_spec

import pytest
from suites import ROOT

from bench.kinds import KINDS
from bench.machine.imports import importing, without


@pytest.fixture(autouse=True)
def collector():
    """Leave the collector at work."""
    yield
    gc.enable()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_rests_and_is_afterwards_as_it_was(enabled):
    (gc.enable if enabled else gc.disable)()
    with importing():
        assert not gc.isenabled()
        kept = [[number] for number in range(10)]
    assert gc.isenabled() is enabled
    assert not [one for one in gc.get_objects() if any(one is inner for inner in kept)]


def test_it_is_as_it_was_when_an_import_fails():
    with pytest.raises(ModuleNotFoundError), importing():
        import nowhere_to_be_found  # noqa: F401
    assert gc.isenabled()


def test_what_every_run_imports_needs_no_large_package():
    names = [f"fixtures.{name}" for name in ("run", "cases", *KINDS)]
    modules = ", ".join(name for name in names if find_spec(name))
    large = ("datasets", "numpy", "pandas", "scipy", "sklearn", "torch", "transformers")
    code = f"import sys, bench.plugin, {modules}; print([name for name in {large} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_package_that_is_left_out_is_missing_for_so_long_and_one_that_is_there_stays() -> None:
    with without("mailbox"), pytest.raises(ImportError):
        importlib.import_module("mailbox")
    assert importlib.import_module("mailbox") is sys.modules["mailbox"]
    with without("mailbox"):
        assert importlib.import_module("mailbox") is sys.modules["mailbox"]
    assert "mailbox" in sys.modules
