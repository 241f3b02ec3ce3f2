"""What torch is set to at a moment: contexts such as autocast, and flags such as the number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bench.core.record import Json

_DEVICES = ("cpu", "cuda")
_SDP = ("flash", "mem_efficient", "math", "cudnn")


def torch_state() -> Json:
    """Return what is set now, for this thread, as plain builtins.

    ``autocast.<device>`` is the name of a dtype, or None where autocast is off.
    """
    import torch

    state: Json = {
        "inference_mode": torch.is_inference_mode_enabled(),
        "grad": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
        "default_dtype": _name(torch.get_default_dtype()),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "cudnn.allow_tf32": torch.backends.cudnn.allow_tf32,
        "cuda.matmul.allow_tf32": torch.backends.cuda.matmul.allow_tf32,
    }
    for device in _DEVICES:
        is_on = torch.is_autocast_enabled(device)
        state[f"autocast.{device}"] = _name(torch.get_autocast_dtype(device)) if is_on else None
    for name in _SDP:
        state[f"sdp.{name}"] = getattr(torch.backends.cuda, f"{name}_sdp_enabled")()
    return state


def changed(state: Json, before: Json) -> Json:
    """Return what a state has that another has not."""
    return {name: value for name, value in state.items() if before.get(name) != value}


@contextmanager
def in_state(wanted: Json) -> Iterator[None]:
    """Set what a state says while the body runs, and set it back.

    Args:
        wanted: some of what :func:`torch_state` returns.
    """
    with ExitStack() as stack:
        if wanted:  # nearly never, and timed calls pass here
            _enter(stack, wanted)
        yield


def _enter(stack: ExitStack, wanted: Json) -> None:
    import torch

    before, setters = torch_state(), _setters()
    for name, value in wanted.items():
        place, _, detail = name.partition(".")
        if place == "autocast":
            dtype = None if value is None else getattr(torch, value)
            stack.enter_context(torch.autocast(detail, dtype=dtype, enabled=value is not None))
        elif name == "inference_mode":
            stack.enter_context(torch.inference_mode(value))
        elif name == "grad":
            stack.enter_context(torch.set_grad_enabled(value))
        elif name in setters:
            stack.callback(setters[name], before[name])
            setters[name](value)


def _setters() -> dict[str, Callable[[Any], object]]:
    import torch

    def default_dtype(name: str) -> None:
        torch.set_default_dtype(getattr(torch, name))

    def set_on(owner: Any, name: str) -> Callable[[Any], None]:
        return lambda value: setattr(owner, name, value)

    found: dict[str, Callable[[Any], object]] = {
        "default_dtype": default_dtype,
        "matmul_precision": torch.set_float32_matmul_precision,
        "deterministic": torch.use_deterministic_algorithms,
        "cudnn.benchmark": set_on(torch.backends.cudnn, "benchmark"),
        "cudnn.allow_tf32": set_on(torch.backends.cudnn, "allow_tf32"),
        "cuda.matmul.allow_tf32": set_on(torch.backends.cuda.matmul, "allow_tf32"),
    }
    for name in _SDP:
        found[f"sdp.{name}"] = getattr(torch.backends.cuda, f"enable_{name}_sdp")
    return found


def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")
