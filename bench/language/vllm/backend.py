"""A model of vLLM as a backend. Texts become tokens by the same rules as for transformers; see `LocalBackend`."""

from __future__ import annotations

from bench.language.backend import LocalBackend
from bench.language.models.config import ModelConfig
from bench.language.models.loading import LoadedModel
from bench.language.vllm.asking import Calls, EngineScorer, EngineWriter
from bench.language.vllm.engine import VllmEngine
from bench.language.vllm.loading import EXTRA, load_engine


class VllmBackend(LocalBackend):
    """A model of vLLM in this process, or in one process for each replica.

    Args:
        loaded: what is known of the model; in place of a model of transformers, its ``generation_config``.
        engine: that answers.
    """

    def __init__(self, loaded: LoadedModel, engine: VllmEngine) -> None:
        calls = Calls()
        writer = EngineWriter(
            engine, loaded.tokenizer, calls, dict(loaded.config.generation_kwargs), loaded.model
        )
        most = loaded.max_seq_len or engine.facts.reads
        context = min(most, engine.facts.reads - EXTRA)
        super().__init__(loaded, calls.size, (EngineScorer(engine, calls), writer, context))
        self._engine = engine

    def close(self) -> None:
        """Free the engine; its memory of the GPU is needed by the next model."""
        self._engine.close()


def vllm_backend(config: ModelConfig, device: str) -> VllmBackend:
    """Return the model of a configuration.

    Raises:
        ModelProblem: it cannot be loaded.
        LanguageProblem: arguments of the generation that vLLM does not take.
    """
    loaded, engine = load_engine(config, device)
    try:
        return VllmBackend(loaded, engine)
    except Exception:
        engine.close()
        raise
