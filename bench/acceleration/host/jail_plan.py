"""What the arms of a case may read, and of which layers their jail is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.core.record import Json
from bench.machine.jail import LAYERS


@dataclass(frozen=True)
class JailPlan:
    """The jail of the arms of a case.

    Attributes:
        readable: files and folders that they may read besides the system's and Python's.
        covered: folders that are empty for them, since there are sockets in them.
        listed: folders of which they may read names alone.
        layers: names of the layers that they enter.
    """

    readable: tuple[Path, ...]
    covered: tuple[Path, ...] = ()
    layers: tuple[str, ...] = LAYERS
    listed: tuple[Path, ...] = ()

    def specification(self, *, on_gpu: bool) -> Json:
        """Return what an arm is told."""
        return {
            "readable": list(map(str, self.readable)),
            "covered": list(map(str, self.covered)),
            "listed": list(map(str, self.listed)),
            "layers": list(self.layers),
            "gpu": on_gpu,
        }
