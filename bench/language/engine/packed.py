"""Linear layers whose weights are laid out for oneDNN, while a model is asked. Imports torch when it is called.

torch hands a product of float32 matrices to MKL, which lays the weights out again in each call. With few rows, as when a
token is written in each of some texts, that is much of the work. oneDNN takes weights that are laid out once: on two cores
with AVX2 or AVX-512, a product with 4 to 64 rows took 0.2 to 0.9 of the time, one with 2000 rows 0.9.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bench.language.engine.probing import is_same, random_texts

if TYPE_CHECKING:
    import torch

# The copies of a larger model would cost more memory than the time is worth.
MOST_BYTES = 512 << 20
# One row alone is no faster: calling the kernel takes as long as a small product.
LEAST_ROWS = 2
# Rows that the layout is made for; others are computed with it, too.
_ROWS = 32
# Tokens that are tried, and weights that are looked at to see that they are as they were.
_TRIED, _LOOKED_AT = 8, 256


def linear_kernel() -> Any:
    """Return oneDNN's linear layer; None where torch has none."""
    import torch  # noqa: PLC0415

    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch has no types here
        return None
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)


def is_plain(module: Any) -> bool:
    """Whether nobody reads or replaces what a module returns."""
    return "forward" not in vars(module) and not (module._forward_hooks or module._forward_pre_hooks)


def plain_linears(model: Any) -> list[Any]:
    """Return the linear layers of float32 that are as torch and transformers made them."""
    import torch  # noqa: PLC0415
    from transformers.pytorch_utils import Conv1D  # noqa: PLC0415

    return [
        module for module in model.modules()
        if type(module) in (torch.nn.Linear, Conv1D) and is_plain(module)
        and type(module.weight.data) is torch.Tensor and module.weight.dtype == torch.float32
    ]  # fmt: skip


def is_turned(linear: Any) -> bool:
    """Whether a layer keeps its weights as [inputs, outputs]."""
    return type(linear).__name__ == "Conv1D"


def predicted(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Return the log-probabilities that follow each token."""
    found: torch.Tensor = model(input_ids=tokens, use_cache=False).logits.float().log_softmax(-1)
    return found


def tried_tokens(model: Any) -> torch.Tensor:
    """Return a few random tokens, [1, tokens]: few, since they are run before the first question."""
    import torch  # noqa: PLC0415

    vocabulary = model.config.get_text_config(decoder=True).vocab_size
    return torch.tensor([random_texts(vocabulary)(_TRIED)]).to(model.device)


class PackedLinears:
    """The linear layers of a model of float32 on a CPU, with copies of their weights in oneDNN's layout.

    That the model predicts the same with them is checked on a few random tokens. The model is changed only while
    :meth:`used` is open. Weights that have changed before it is opened are laid out again.

    Args:
        model: a causal language model of transformers, in evaluation mode.
    """

    def __init__(self, model: Any) -> None:
        import torch  # noqa: PLC0415

        self._packed: dict[Any, _Packed] = {}
        kernel, lay_out = linear_kernel(), getattr(torch.ops.mkldnn, "_reorder_linear_weight", None)
        # What stands for a model may say no type.
        if kernel is None or lay_out is None or getattr(model, "dtype", None) != torch.float32:
            return
        linears = plain_linears(model) if model.device.type == "cpu" else []
        if sum(linear.weight.nbytes for linear in linears) > MOST_BYTES:
            return
        self._packed = {linear: _Packed(linear, kernel, lay_out) for linear in linears}
        try:
            tokens = tried_tokens(model)
            with torch.inference_mode():
                plain = predicted(model, tokens)
                with self.used():
                    agrees = is_same(float((plain - predicted(model, tokens)).abs().max()), model)
        except Exception:  # a model may raise anything for text without its other arguments
            agrees = False
        if not agrees:
            self._packed = {}

    def __len__(self) -> int:
        """Return how many layers compute otherwise."""
        return len(self._packed)

    def weight(self, linear: Any) -> Any:
        """Return the weights of a layer as oneDNN takes them; None where there are none."""
        found = self._packed.get(linear)
        return None if found is None else found.weight

    @contextmanager
    def used(self) -> Iterator[None]:
        """Compute with them as long as the context is open; layers with a ``forward`` of their own keep that."""
        placed: list[Any] = []
        try:
            for linear, forward in self._packed.items():
                forward.refresh()
                if "forward" not in vars(linear):
                    placed.append(linear)
                    linear.forward = forward
            yield
        finally:
            for linear in placed:
                del linear.forward


class _Packed:
    """The forward of a linear layer with weights in oneDNN's layout."""

    def __init__(self, linear: Any, kernel: Any, lay_out: Any) -> None:
        self._linear, self._plain, self._kernel, self._lay_out = linear, linear.forward, kernel, lay_out
        self.weight: Any = None
        self._seen: tuple[int, int, Any] | None = None

    def refresh(self) -> None:
        """Lay the weights out, unless that was done and they are as they were."""
        import torch  # noqa: PLC0415

        weight = self._linear.weight.detach()
        # Neither the place nor the version tells of what was written through ``.data``.
        some = weight.flatten()[:: max(1, weight.numel() // _LOOKED_AT)].clone()
        now = weight.data_ptr(), self._linear.weight._version
        if self._seen is not None and self._seen[:2] == now and torch.equal(self._seen[2], some):
            return
        whole = weight.t().contiguous() if is_turned(self._linear) else weight
        self.weight, self._seen = self._lay_out(whole, _ROWS), (*now, some)

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        if values.numel() < LEAST_ROWS * values.shape[-1]:
            plain: torch.Tensor = self._plain(values)
            return plain
        found: torch.Tensor = self._kernel(values, self.weight, self._linear.bias, "none", [], "")
        return found
