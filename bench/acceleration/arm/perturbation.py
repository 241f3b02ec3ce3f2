"""What a pipeline is set to for a moment, though it computes the same: another number of threads, coarser weights.

Only a baseline or a target is ever asked for it, so that the evaluator learns how far apart its own images are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.core.record import Json


class Perturbation:
    """Changes a loaded pipeline and its process, and takes the change back."""

    def __init__(self) -> None:
        self._restore: list[Callable[[], None]] = []

    def apply(self, pipe: Any, request: Json) -> Json:
        """Take back what was changed before, and change what is asked for.

        Args:
            pipe: the pipeline.
            request: ``threads``, how many compute; ``round``, the name of a component whose weights are rounded to
                bfloat16. Nothing in it leaves the pipeline as it was loaded.

        Returns:
            ``applied``: whether all of it could be done.
        """
        self.undo()
        applied = True
        if request.get("threads"):
            self._set_threads(int(request["threads"]))
        if request.get("round"):
            applied = self._round(getattr(pipe, str(request["round"]), None))
        return {"applied": applied}

    def undo(self) -> None:
        """Take everything back."""
        while self._restore:
            self._restore.pop()()

    def _set_threads(self, threads: int) -> None:
        import torch

        before = torch.get_num_threads()
        self._restore.append(lambda: torch.set_num_threads(before))
        torch.set_num_threads(threads)

    def _round(self, part: Any) -> bool:
        """Round the 32-bit weights of a component to bfloat16; whether it has any."""
        import torch

        if not hasattr(part, "parameters"):
            return False
        wide = [value for value in part.parameters() if value.dtype == torch.float32]
        with torch.no_grad():
            for value in wide:
                kept = value.detach().clone()
                self._restore.append(lambda value=value, kept=kept: _set(value, kept))  # type: ignore[misc]
                value.copy_(value.to(torch.bfloat16))
        return bool(wide)


def _set(value: Any, kept: Any) -> None:
    import torch

    with torch.no_grad():
        value.copy_(kept)
