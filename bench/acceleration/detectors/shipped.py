"""All methods that ship, registered. Import METHODS from here to have them."""

from bench.acceleration.detectors import (  # noqa: F401  they register
    adapters,
    attention,
    blocks,
    caches,
    hooks,
    quantization,
    weights,
)
from bench.acceleration.methods import METHODS

__all__ = ["METHODS"]
