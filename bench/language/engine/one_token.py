"""Attention of one new token in each row, as writing asks for it. Imports torch."""

from __future__ import annotations

import functools

import torch

# Where values are fewer, to call for sums of them takes longer than the sums.
LEAST_VALUES = 1 << 17
# What torch makes code for; on other processors it adds one value at a time.
_PROCESSORS = ("AVX2", "AVX512")


def is_added(mask: torch.Tensor | None, key: torch.Tensor) -> bool:
    """Whether a mask is added to scores, and the same for all heads."""
    if mask is None:
        return True
    return mask.is_floating_point() and mask.ndim == 4 and mask.shape[1:] == (1, 1, key.shape[2])


def of_one(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, scaling: float | None
) -> torch.Tensor:  # fmt: skip
    """Return the attention of one new token in each row, [rows, 1, heads, size].

    Args:
        query: [rows, heads, 1, size].
        key, value: [rows, heads of keys, keys, size]; the two may differ in size.
        mask: [rows or 1, 1, 1, keys], added to scores; None shows everything.
        scaling: of scores; None is one over the root of the size.

    Torch's own has a tiny product for each head of each row, and reads copies of the keys where several heads share
    them; here the heads that share keys are the rows of one product.
    """
    rows, heads, _, size = query.shape
    of_keys, count = key.shape[1], key.shape[2]
    scaled = (query * (size**-0.5 if scaling is None else scaling)).reshape(rows * of_keys, -1, size)
    scores = torch.bmm(scaled, key.flatten(0, 1).transpose(1, 2))
    if mask is not None:
        scores.view(rows, of_keys, -1, count).add_(mask)
    weights = torch.softmax(scores, -1)
    if heads == of_keys and value.numel() >= LEAST_VALUES and are_rows_of_a_table(value) and _has_fast_sums():
        seen = sums_of_rows(weights, value)
    else:
        seen = torch.bmm(weights, value.flatten(0, 1))
    return seen.view(rows, 1, heads, value.shape[-1])


def are_rows_of_a_table(value: torch.Tensor) -> bool:
    """Whether values are columns of a buffer, [rows, heads, columns, size], from its first row on."""
    _, heads, count, size = value.shape
    columns, begin = _place_in_buffer(value)
    return value.stride() == (heads * columns * size, columns * size, size, 1) and begin + count <= columns


def sums_of_rows(weights: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return weighted sums of values, [rows * heads, size].

    To a library of matrix products these are hundreds of tiny problems, and MKL has no kernel for them on processors of
    other makers. Torch adds rows of a table for embeddings with code that it makes for the processor while it runs. With
    AVX-512 on two cores that took 0.2 to 1.0 of the time, about half for most sizes.

    Args:
        weights: [rows * heads, 1, keys].
        value: [rows, heads, keys, size], as :func:`are_rows_of_a_table` wants it.
    """
    rows, heads, count, size = value.shape
    columns, begin = _place_in_buffer(value)
    table = value.as_strided((rows * heads * columns, size), (size, 1), 0)
    found: torch.Tensor = torch.ops.aten._embedding_bag_forward_only(
        table, *_bags(rows * heads, columns, begin, count), False, 0, False, weights.reshape(-1)
    )[0]
    return found


def _place_in_buffer(value: torch.Tensor) -> tuple[int, int]:
    """Return how many columns the buffer of some values has, and the first one that is theirs."""
    size = value.shape[3]
    return value.stride(1) // size, value.storage_offset() // size


@functools.cache
def _has_fast_sums() -> bool:
    return torch.backends.cpu.get_cpu_capability().startswith(_PROCESSORS)


# All layers of a step ask for the same ones, but for those with a window.
@functools.lru_cache(maxsize=2)
def _bags(matrices: int, columns: int, begin: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the rows of the table that are added, and where those of each sum begin among them."""
    first = torch.arange(begin, matrices * columns, columns, dtype=torch.int32)
    indices = (first[:, None] + torch.arange(count, dtype=torch.int32)).view(-1)
    return indices, torch.arange(0, matrices * count, count, dtype=torch.int32)
