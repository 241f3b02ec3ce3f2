"""Batches: longest items first, halved when memory runs out, each result returned with its index."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# With `auto`, the batch size starts here and is halved whenever memory runs out.
AUTO_BATCH_SIZE = 64


class Batches:
    """Runs items in batches.

    The longest items come first. If memory runs out, it does so immediately, and a batch holds items of similar length,
    so that there is little padding. A batch that does not fit is run again in halves, and the smaller size is kept.

    Args:
        size: items of a batch, or ``auto``.

    Attributes:
        size: in use now.
        halvings: how often memory ran out.
    """

    def __init__(self, size: int | str) -> None:
        self.size = AUTO_BATCH_SIZE if size == "auto" else int(size)
        self.halvings = 0

    def run(
        self,
        items: Sequence[Item],
        length: Callable[[Item], Any],
        run: Callable[[list[Item]], list[Result]],
        done: Callable[[int, Result], None],
    ) -> None:
        """Run all items and pass on each result as soon as its batch is complete.

        Args:
            items: what to run.
            length: key that sorts the items, longest first; items of one batch should have similar keys.
            run: turns a batch into as many results.
            done: takes an item's index and its result.

        Raises:
            RuntimeError: a single item that does not fit into memory.
        """
        order = sorted(range(len(items)), key=lambda index: length(items[index]), reverse=True)
        at = 0
        while at < len(order):
            chosen = order[at : at + self.size]
            try:
                results = run([items[index] for index in chosen])
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or len(chosen) == 1:
                    raise
                self.size = max(1, len(chosen) // 2)
                self.halvings += 1
                failed = True
            else:
                failed = False
            if failed:  # outside the handler: its traceback holds the tensors that did not fit
                free_memory()
                continue
            for index, result in zip(chosen, results, strict=True):
                done(index, result)
            at += len(chosen)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on a GPU or in the process."""
    import torch  # noqa: PLC0415

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return "out of memory" in text or "can't allocate memory" in text or "DefaultCPUAllocator" in text


def free_memory() -> None:
    """Release what a failed batch left behind."""
    import torch  # noqa: PLC0415

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
