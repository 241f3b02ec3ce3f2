"""The trusted scoring process: CLIP embeddings, computed on the cores that its pair has leased.

It is forked from the same server as the arms: torch and open_clip are loaded there already, and pytest's own
processes stay light. It runs no untrusted code.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.acceleration.protocol.pixels import unpack
from bench.core.record import Json


class ClipScorer:
    """Answers ``load``, ``embed_images``, ``embed_texts`` and ``measure``."""

    def __init__(self) -> None:
        self._clip: Any = None

    def answer(self, request: Json, payload: bytes) -> tuple[Json, bytes]:
        """Dispatch one request; embeddings are returned as float32 rows."""
        if request["op"] == "load":
            from bench.metrics.clip_model import ClipModel
            from bench.metrics.measuring import import_ahead

            self._clip = ClipModel(request["clip"], request["device"])
            import_ahead("piq", "flip_evaluator")  # while a candidate loads
            return {}, b""
        if request["op"] == "embed_images":
            return _rows(self._clip.embed_images(unpack(request["shapes"], payload)))
        if request["op"] == "embed_texts":
            return _rows(self._clip.embed_texts(request["texts"]))
        if request["op"] == "measure":
            return measure_images(request, payload), b""
        raise ValueError(f"unknown request {request['op']!r}")


def measure_images(request: Json, payload: bytes) -> Json:
    """Return the values of image metrics, and what is wrong with those that have none.

    Args:
        request: ``metrics``, their names, and ``shapes`` of the images; with ``paired`` the second half are the references.
        payload: the pixels of all.
    """
    from bench.metrics.measuring import measure

    images = unpack(request["shapes"], payload)
    count = len(images) // 2 if request["paired"] else len(images)
    values, problems = measure(
        request["metrics"], images[:count], images[count:] if request["paired"] else None
    )
    return {"values": values, "problems": problems}


def _rows(embeddings: np.ndarray) -> tuple[Json, bytes]:
    return {"shape": list(embeddings.shape)}, np.ascontiguousarray(embeddings, dtype=np.float32).tobytes()
