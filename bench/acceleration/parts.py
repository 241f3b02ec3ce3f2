"""Whether two pipelines are made of the same models: by class, settings and weights, never by their folders."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.acceleration.protocol.messages import Part

# Relative distance of a tensor's sampled values that is no difference. Rounding to bfloat16 is at most 0.004.
SAME_WEIGHTS = 0.02
_NOTHING = 1e-6

Difference = tuple[str, Any, Any]
"""A field, the target's value and the candidate's."""


def differing_settings(
    name: str, target: Mapping[str, Any], candidate: Mapping[str, Any]
) -> list[Difference]:
    """Return what both have under a name and with another value; what one of them alone has belongs to its version."""
    return [
        (f"{name}.{key}", target[key], candidate[key])
        for key in sorted(target.keys() & candidate.keys())
        if target[key] != candidate[key]
    ]


def differing_parts(
    target: Mapping[str, Part], candidate: Mapping[str, Part], *, weights: bool = True
) -> list[Difference]:
    """Return everything in which the parts of two pipelines differ.

    Args:
        target, candidate: their parts by name.
        weights: whether weights are compared.
    """
    found: list[Difference] = []
    for name in sorted(target.keys() | candidate.keys()):
        one, other = target.get(name), candidate.get(name)
        if one is None or other is None:
            found.append((name, _class_of(one), _class_of(other)))
        elif one.class_name != other.class_name:
            found.append((name, one.class_name, other.class_name))
        else:
            found += differing_settings(name, one.settings, other.settings)
            if weights:
                found += _fewer_parameters(name, one, other) + _differing_weights(name, one, other)
    return found


def _class_of(part: Part | None) -> str | None:
    return None if part is None else part.class_name


def _fewer_parameters(name: str, target: Part, candidate: Part) -> list[Difference]:
    """Return that parameters are gone; more of them are those of a method, such as fused projections."""
    if candidate.parameters >= target.parameters:
        return []
    return [(f"{name}.parameters", target.parameters, candidate.parameters)]


def _differing_weights(name: str, target: Part, candidate: Part) -> list[Difference]:
    shared = [
        key for key in target.weights if len(target.weights[key]) == len(candidate.weights.get(key, ()))
    ]
    other = [key for key in shared if not _is_same(target.weights[key], candidate.weights[key])]
    if not other:
        return []
    return [
        (
            f"{name}.weights",
            "the target's",
            f"others in {len(other)} of {len(shared)} tensors, such as {other[0]}",
        )
    ]


def _is_same(values: Sequence[float], others: Sequence[float]) -> bool:
    size = math.hypot(*values)
    return math.dist(values, others) <= SAME_WEIGHTS * size + _NOTHING
