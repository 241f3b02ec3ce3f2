"""Numbers, texts, and lists and tensors of them that an object holds: whether two are the same, and what they are."""

from __future__ import annotations

import math
from typing import Any

from bench.acceleration.arm.content import described, is_array

_SAME = 1e-6


def is_plain(value: Any) -> bool:
    """Whether a value is a number, a text or a truth value, or a list, array or tensor of them.

    A list with gaps is none: it holds what a run fills in.
    """
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return isinstance(value, bool | int | float | str) or _is_numbers(value)


def are_same(one: Any, other: Any) -> bool:
    """Whether two plain values are equal but for rounding, on whichever device and in whichever precision."""
    if _is_numbers(one) or _is_numbers(other):
        try:
            return _are_same_numbers(one, other)
        except (TypeError, ValueError):  # the other one is no list of numbers
            return False
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(are_same, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=_SAME, abs_tol=_SAME**2)
    return bool(one == other)


def shown(value: Any) -> Any:
    """Return a plain value as JSON can hold it: of a tensor, sums that another value or another order changes."""
    if not _is_numbers(value):
        return described(value)
    import torch

    flat = torch.as_tensor(value).detach().to("cpu", torch.float64).reshape(-1)
    weighted = float((flat * torch.linspace(0, 1, len(flat), dtype=torch.float64)).sum())
    return {**described(value), "weighted_sum": round(weighted, 6)}


def _is_numbers(value: Any) -> bool:
    import torch

    return is_array(value) or (
        isinstance(value, torch.Tensor) and not value.is_meta and not value.is_complex()
    )


def _are_same_numbers(one: Any, other: Any) -> bool:
    import torch

    values = [torch.as_tensor(value).detach().cpu() for value in (one, other)]
    rounding = max(torch.finfo(value.dtype).eps if value.is_floating_point() else 0.0 for value in values)
    first, second = (value.to(torch.float64) for value in values)
    return first.shape == second.shape and torch.allclose(
        first, second, rtol=4 * rounding + _SAME, atol=_SAME**2, equal_nan=True
    )
