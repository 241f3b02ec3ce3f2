"""All methods that ship, registered. Import METHODS from here to have them."""

from bench.acceleration.detectors import attention, caches, hooks, weights  # noqa: F401  they register
from bench.acceleration.methods import METHODS

__all__ = ["METHODS"]
