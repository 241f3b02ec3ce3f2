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
            results: list[Result] = []

            def run_chosen(size: int, at: int = at, results: list[Result] = results) -> None:
                results += run([items[index] for index in order[at : at + size]])

            if self.attempt(len(order) - at, run_chosen):
                for index, result in zip(order[at:], results, strict=False):
                    done(index, result)
                at += len(results)

    def attempt(self, left: int, run: Callable[[int], None]) -> bool:
        """Run something with as many items as a batch may have; if memory runs out, it may have half as many.

        Args:
            left: items that there are.
            run: takes the number of items of a batch.

        Returns:
            Whether it ran.

        Raises:
            RuntimeError: a single item that does not fit into memory.
        """
        size = min(self.size, left)
        try:
            run(size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or size == 1:
                raise
        else:
            return True
        # Outside the handler: its traceback holds the tensors that did not fit.
        self.size = max(1, size // 2)
        self.halvings += 1
        free_memory()
        return False


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
