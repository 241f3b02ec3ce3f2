"""The model in memory: loaded once, kept for all cases that use it, dropped before the next one is loaded."""

from __future__ import annotations

import functools
import gc

from bench.language.backend import Backend
from bench.language.models.config import ModelConfig


class ModelHolder:
    """Holds one model at a time; cases come grouped by model, so a process loads each once.

    Args:
        device: ``cpu`` or ``cuda``.
        concurrency: requests to a server at a time.
    """

    def __init__(self, device: str, concurrency: int = 8) -> None:
        self._device, self._concurrency = device, concurrency
        self._config: ModelConfig | None = None
        self._backend: Backend | None = None

    def get(self, config: ModelConfig) -> Backend:
        """Return the model of a configuration.

        Raises:
            ModelProblem: when it cannot be loaded.
        """
        if self._backend is None or self._config != config:
            self.drop()
            self._backend, self._config = self._load(config), config
        return self._backend

    def drop(self) -> None:
        """Free the model: two of them may not fit."""
        self._backend = self._config = None
        gc.collect()
        if self._device == "cuda":
            import torch  # noqa: PLC0415

            torch.cuda.empty_cache()

    def _load(self, config: ModelConfig) -> Backend:
        if config.backend == "server":
            from bench.language.server.backend import ServerBackend  # noqa: PLC0415

            return ServerBackend(config, self._concurrency)
        from transformers.utils import logging  # noqa: PLC0415

        from bench.language.backend import LocalBackend  # noqa: PLC0415
        from bench.language.models.loading import load_model  # noqa: PLC0415
        from bench.machine.memory import keep_freed_memory  # noqa: PLC0415
        from bench.machine.torchvision_shim import ensure_torchvision  # noqa: PLC0415

        keep_freed_memory()
        logging.disable_progress_bar()  # a bar per worker is noise between pytest's lines
        ensure_torchvision()  # transformers imports it, and a build that does not fit torch breaks that
        _import_frameworks()
        return LocalBackend(load_model(config, self._device), config.batch_size)


@functools.cache
def _import_frameworks() -> None:
    """Import what every model needs, and spare the garbage collector what never is garbage.

    It would walk through all that a framework's modules hold at each full collection, of which pytest and the
    interpreter ask for several when a process ends: more than a second.
    """
    import transformers.modeling_utils  # noqa: F401, PLC0415

    gc.freeze()
