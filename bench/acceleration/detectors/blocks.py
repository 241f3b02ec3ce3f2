"""Blocks that were taken out of a model: its configuration still counts them."""

from __future__ import annotations

import functools
import json
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from bench.acceleration.detectors.compiled import is_scripted, model_within
from bench.acceleration.detectors.parts import components
from bench.acceleration.methods import Loaded, Parameters, acceleration_method


@acceleration_method("dropped_blocks", changes=("weights", "layers"), shows="work", is_in_source=False)
def dropped_blocks(loaded: Loaded) -> Parameters | None:
    """Return, for each model of diffusers that has fewer blocks than it is configured with, how many are left."""
    found = {name: fewer for name, part in components(loaded.pipe) if (fewer := _fewer_blocks(part))}
    return found or None


def _fewer_blocks(part: Any) -> dict[str, str]:
    model = model_within(part)
    kind: Any = type(model)
    if not kind.__module__.startswith("diffusers.") or not hasattr(model, "from_config"):
        return {}
    config = {key: value for key, value in model.config.items() if not key.startswith("_")}
    configured = _configured_blocks(kind, json.dumps(config, sort_keys=True, default=str))
    fewer = {
        name: f"{left} of {count}"
        for name, count in configured.items()
        if not _is_within_script(model, name) and (left := _left(model, name)) < count
    }
    # What is missing only because the block around it is says nothing more.
    return {
        name: text
        for name, text in fewer.items()
        if not any(name.startswith(f"{other}.") for other in fewer if other != name)
    }


@functools.lru_cache(maxsize=16)
def _configured_blocks(kind: Any, config: str) -> dict[str, int]:
    """Return how many blocks a model has in each of its lists, and 1 for each other part of it that has weights.

    It is built as its configuration says, without any memory for weights, and nothing draws them.
    """
    import torch

    try:
        with torch.random.fork_rng(devices=[]), _no_first_weights(), torch.device("meta"):
            model = kind.from_config(json.loads(config))
    except Exception:  # a model that cannot be built in this way tells nothing
        return {}
    found = {
        name: len(module) for name, module in model.named_modules() if isinstance(module, torch.nn.ModuleList)
    }
    has_weights = {name for name, part in model.named_children() if next(part.parameters(), None) is not None}
    return dict.fromkeys(sorted(has_weights - found.keys()), 1) | found


def _no_first_weights() -> AbstractContextManager[None]:
    """Keep models from drawing their first weights, as diffusers does where it loads some."""
    try:
        from diffusers.models.modeling_utils import no_init_weights
    except ImportError:  # of a version that has none
        return nullcontext()
    found: AbstractContextManager[None] = no_init_weights()
    return found


def _is_within_script(model: Any, name: str) -> bool:
    """Whether a part of a model lies in TorchScript, which has its weights and no lists of blocks."""
    for place in name.split("."):
        if is_scripted(model):
            return True
        model = getattr(model, place, None)
    return False


def _left(model: Any, name: str) -> int:
    """Return how many blocks there are under a name."""
    import torch

    try:
        module = model.get_submodule(name)
    except AttributeError:  # gone, or None in its place
        return 0
    blocks = module if isinstance(module, torch.nn.ModuleList | torch.nn.Sequential) else [module]
    return sum(not isinstance(block, torch.nn.Identity) for block in blocks)
