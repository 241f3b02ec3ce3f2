"""Fixtures that tests of acceleration share."""

from pathlib import Path
from typing import Any

import pytest
import tiny_pipeline

from bench.acceleration.detectors.shipped import METHODS
from bench.machine.torchvision_shim import ensure_torchvision


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


@pytest.fixture
def transformer_pipe() -> Any:
    """A pipeline with nothing but a small transformer, which cannot generate."""
    ensure_torchvision()
    from diffusers import DiffusionPipeline, FluxTransformer2DModel

    class TransformerPipeline(DiffusionPipeline):
        def __init__(self, transformer: Any) -> None:
            super().__init__()
            self.register_modules(transformer=transformer)

        def __call__(self) -> None:
            """Do nothing."""

    return TransformerPipeline(
        FluxTransformer2DModel(
            patch_size=1, in_channels=4, num_layers=2, num_single_layers=1, attention_head_dim=8,
            num_attention_heads=2, joint_attention_dim=16, pooled_projection_dim=8, axes_dims_rope=(2, 2, 4),
        )
    )  # fmt: skip
