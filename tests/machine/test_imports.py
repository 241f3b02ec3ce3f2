"""No garbage is looked for while frameworks are imported, and what they hold is not looked through afterwards."""

from __future__ import annotations

import gc

import pytest

from bench.machine.imports import importing


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
