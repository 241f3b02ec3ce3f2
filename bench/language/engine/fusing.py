"""Linear layers that compute the activation behind them, while a model is asked. Imports torch when it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from bench.language.engine.packed import (
    LEAST_ROWS,
    PackedLinears,
    is_plain,
    is_turned,
    linear_kernel,
    plain_linears,
    predicted,
    tried_tokens,
)
from bench.language.engine.probing import is_same

if TYPE_CHECKING:
    import torch

# Names of activations of torch and transformers, and what oneDNN calls them.
_KERNELS = {
    "NewGELUActivation": ("gelu", "tanh"),
    "FastGELUActivation": ("gelu", "tanh"),
    "GELUTanh": ("gelu", "tanh"),
    "PytorchGELUTanh": ("gelu", "tanh"),
    "GELUActivation": ("gelu", "none"),
    "GELU": ("gelu", "none"),
    "SiLU": ("swish", ""),
    "SiLUActivation": ("swish", ""),
    "ReLU": ("relu", ""),
}
# Activations of transformers that are written out in eight steps, each over all values; torch has them as one. The two
# differ in rounding alone, by 1e-7 in float32.
_WRITTEN_OUT = {"NewGELUActivation", "FastGELUActivation"}
# With fewer tokens and weights as torch has them, setting up the fused kernel costs more than a second pass over the values.
LEAST_TOKENS = 64

Forward = Callable[["torch.Tensor"], "torch.Tensor"]


class FusedActivations:
    """Activations of a model of float32 on a CPU, computed where a linear layer writes its values, without a second pass.

    Which activation takes a linear layer's output is observed on a few random tokens, and that the model predicts the
    same is checked on them. Where a fused kernel is not known, an activation that transformers writes out in several
    steps becomes the single one of torch. In half precision each step rounds, so that results would differ visibly:
    nothing is replaced there.

    Its linear layers compute with weights that are laid out once, see :class:`PackedLinears`.

    The model is changed only while :meth:`used` is open.

    Args:
        model: a causal language model of transformers, in evaluation mode.
    """

    def __init__(self, model: Any) -> None:
        import torch  # noqa: PLC0415

        self._replaced: list[tuple[Any, Forward]] = []
        self.packed = PackedLinears(model)
        if getattr(model, "dtype", None) != torch.float32:  # what stands for a model may say none
            return
        activations = _activations(model)
        kernel = linear_kernel() if model.device.type == "cpu" else None
        if not activations:
            return
        try:
            tokens = tried_tokens(model)
            pairs = [] if kernel is None else _observed(model, tokens, activations)
            self._replaced = _replacements(activations, pairs, kernel, self.packed)
            if not self._replaced:
                return
            with torch.inference_mode():
                plain = predicted(model, tokens)
                with self.used(least=0):
                    fused = predicted(model, tokens)
            agrees = is_same(float((plain - fused).abs().max()), model)
        except Exception:  # a model may raise anything for text without its other arguments
            agrees = False
        if not agrees:
            self._replaced = []

    def __len__(self) -> int:
        """Return how many activations and linear layers before them compute otherwise."""
        return len(self._replaced)

    @contextmanager
    def used(self, least: int = LEAST_TOKENS) -> Iterator[None]:
        """Compute activations with their linear layers as long as the context is open.

        Args:
            least: tokens from which on they are computed together.
        """
        placed: list[Any] = []
        try:
            for module, forward in self._replaced:
                if "forward" in vars(module):  # this context, opened before
                    continue
                placed.append(module)
                module.forward = forward
                if isinstance(forward, _Fused):
                    forward.least = least
            with self.packed.used():
                yield
        finally:
            for module in placed:
                del module.forward


# One for each model, for as long as that is in memory: what scores and what writes with it share it.
_FOUND: WeakKeyDictionary[Any, FusedActivations] = WeakKeyDictionary()


def fused_activations(model: Any) -> FusedActivations:
    """Return the activations of a model, which are looked for once."""
    if model not in _FOUND:
        _FOUND[model] = FusedActivations(model)
    return _FOUND[model]


class _Fused:
    """The forward of a linear layer with the activation behind it."""

    def __init__(
        self, linear: Any, activation: Forward, kernel: Any, name: tuple[str, str], packed: PackedLinears
    ) -> None:  # fmt: skip
        self._linear, self._plain, self._activation = linear, linear.forward, activation
        self._kernel, self._name, self._packed = kernel, name, packed
        self.least = LEAST_TOKENS

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        weight = self._packed.weight(self._linear)
        if values.numel() < (self.least if weight is None else LEAST_ROWS) * values.shape[-1]:
            return self._activation(self._plain(values))
        if weight is None:
            weight = self._linear.weight.t() if is_turned(self._linear) else self._linear.weight
        algorithm, kind = self._name
        found: torch.Tensor = self._kernel(values, weight, self._linear.bias, algorithm, [], kind)
        return found


def _activations(model: Any) -> list[Any]:
    """Return the activations that have a known kernel, and no forward or hook of their own."""
    return [
        module for module in model.modules()
        if type(module).__name__ in _KERNELS
        and type(module).__module__.startswith(("torch.nn.", "transformers.activations"))
        and is_plain(module)
    ]  # fmt: skip


def _observed(model: Any, tokens: torch.Tensor, activations: list[Any]) -> list[tuple[Any, Any]]:
    """Return linear layers, each with the activation that is given its output and nothing else."""
    import torch  # noqa: PLC0415

    wanted = {id(module) for module in activations}
    linear = plain_linears(model)
    # Each call of a linear layer and of an activation, in order. Outputs are kept, so that no address is used again.
    written: dict[int, tuple[Any, torch.Tensor]] = {}
    calls: dict[int, int] = {}
    given: dict[int, Any] = {}

    def after(module: Any, _: Any, output: Any) -> None:
        calls[id(module)] = calls.get(id(module), 0) + 1
        if id(module) not in wanted:
            written[id(output)] = module, output

    def before(module: Any, arguments: Any) -> None:
        source = written.get(id(arguments[0])) if arguments else None
        given[id(module)] = None if source is None else source[0]

    handles = [module.register_forward_hook(after) for module in (*linear, *activations)]
    handles += [module.register_forward_pre_hook(before) for module in activations]
    try:
        with torch.inference_mode():
            model(input_ids=tokens, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    found = ((given.get(id(module)), module) for module in activations)
    # One that is called several times may be given other values the next time.
    return [
        (source, module) for source, module in found
        if source is not None and calls.get(id(module)) == calls.get(id(source)) == 1
    ]  # fmt: skip


def _replacements(
    activations: list[Any], pairs: list[tuple[Any, Any]], kernel: Any, packed: PackedLinears
) -> list[tuple[Any, Forward]]:  # fmt: skip
    replaced: list[tuple[Any, Forward]] = []
    fused = set()
    for source, module in pairs:
        fused.add(id(module))
        fast = _single(module) or module.forward
        replaced += [
            (source, _Fused(source, fast, kernel, _KERNELS[type(module).__name__], packed)), (module, _unchanged),
        ]  # fmt: skip
    for module in activations:
        single = _single(module)
        if id(module) not in fused and single is not None:
            replaced.append((module, single))
    return replaced


def _single(module: Any) -> Forward | None:
    """Return an activation that is written out in one step; None if it is one step already."""
    if type(module).__name__ not in _WRITTEN_OUT:
        return None
    import torch  # noqa: PLC0415

    def in_one_step(values: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.gelu(values, approximate="tanh")

    return in_one_step


def _unchanged(values: torch.Tensor) -> torch.Tensor:
    return values
