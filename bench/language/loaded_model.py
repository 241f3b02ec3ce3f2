"""The model in memory: loaded once, kept for all cases that use it, dropped before the next is loaded."""

from __future__ import annotations

import functools
import gc
from typing import TYPE_CHECKING

from bench.language.models.config import ModelConfig
from bench.machine.imports import importing

if TYPE_CHECKING:
    from bench.language.backend import Backend


class ModelHolder:
    """Holds one model. Cases are grouped by model, so a process loads each model once.

    Args:
        device: ``cpu`` or ``cuda``.
        concurrency: parallel requests to a server.
    """

    def __init__(self, device: str, concurrency: int = 8) -> None:
        self._device, self._concurrency = device, concurrency
        self._config: ModelConfig | None = None
        self._backend: Backend | None = None

    def get(self, config: ModelConfig) -> Backend:
        """Return the model of a configuration.

        Raises:
            ModelProblem: it cannot be loaded.
        """
        if self._backend is None or self._config != config:
            self.drop()
            self._backend, self._config = self._load(config), config
        return self._backend

    def drop(self) -> None:
        """Free the model; two models may not fit into memory."""
        close = getattr(self._backend, "close", None)
        if close is not None:  # vLLM holds memory of the GPU in processes of its own
            close()
        self._backend = self._config = None
        gc.collect()
        if self._device == "cuda":
            import torch  # noqa: PLC0415

            torch.cuda.empty_cache()

    def _load(self, config: ModelConfig) -> Backend:
        if config.backend == "server":
            from bench.language.server.backend import ServerBackend  # noqa: PLC0415

            return ServerBackend(config, self._concurrency)
        if config.backend == "vllm":
            from bench.language.vllm.backend import vllm_backend  # noqa: PLC0415

            return vllm_backend(config, self._device)
        _import_frameworks()
        from transformers.utils import logging  # noqa: PLC0415

        from bench.language.backend import LocalBackend  # noqa: PLC0415
        from bench.language.models.loading import load_model  # noqa: PLC0415
        from bench.machine.memory import keep_freed_memory  # noqa: PLC0415

        keep_freed_memory()
        # One bar per worker is noise between pytest's lines.
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it without types
        return LocalBackend(load_model(config, self._device), config.batch_size)


@functools.cache
def _import_frameworks() -> None:
    """Import what every model needs."""
    from bench.machine.torchvision_shim import ensure_torchvision  # noqa: PLC0415

    with importing():
        ensure_torchvision()  # transformers imports torchvision, which fails with a build for another torch
        import transformers.modeling_utils  # noqa: F401, PLC0415
