"""Fixtures that tests of acceleration share."""

from pathlib import Path
from typing import Any

import pytest
import tiny_pipeline

from bench.acceleration.detectors.shipped import METHODS


@pytest.fixture
def own_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget after the test which methods it has registered."""
    for name in ("_things", "_places"):
        monkeypatch.setattr(METHODS, name, dict(getattr(METHODS, name)))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small pipeline with random weights."""
    return tiny_pipeline.save_pipeline(tmp_path_factory.mktemp("model"))


@pytest.fixture
def pipe(model: Path) -> Any:
    """That pipeline, freshly loaded."""
    return tiny_pipeline.load_pipeline(model)
