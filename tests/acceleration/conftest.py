"""Fixtures that tests of acceleration share."""

import pytest

from bench.acceleration.detectors.shipped import METHODS


@pytest.fixture
def own_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget after the test which methods it has registered."""
    for name in ("_things", "_places"):
        monkeypatch.setattr(METHODS, name, dict(getattr(METHODS, name)))
