"""Stand-ins for packages that are not installed here: the names of modules and classes of their source, nothing more.

What detectors read of these packages is the place of a class or function, and a few attributes. The stand-ins have these as
the packages' own source has them: torchao's ``Int8Tensor`` and ``LinearActivationQuantizedTensor``, quanto 0.2's
``QLinear``, and ParaAttention 0.3's entry points.
"""

from __future__ import annotations

import textwrap
import types
from typing import Any


def module(name: str, source: str) -> Any:
    """Return a module of that name, with what its source defines; classes and functions say that they are from there."""
    made = types.ModuleType(name)
    exec(compile(textwrap.dedent(source), name, "exec", dont_inherit=True), made.__dict__)
    return made


# A tensor subclass that wraps others, as torchao makes them: it has no storage of its own, and computes by dequantizing.
TENSORS = """
    import torch

    class WrapperTensor(torch.Tensor):
        names = ()

        @staticmethod
        def __new__(cls, like, **held):
            return torch.Tensor._make_wrapper_subclass(cls, like.shape, dtype=like.dtype, requires_grad=False)

        def __init__(self, like, **held):
            self.__dict__.update(held)

        def __tensor_flatten__(self):
            return [name for name in self.names], None

        @classmethod
        def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
            if function is torch.ops.aten.detach.default:
                return args[0]
            plain = lambda value: value.dequantize() if isinstance(value, WrapperTensor) else value
            return function(*map(plain, args), **(kwargs or {}))
"""

INT8_TENSOR = (
    TENSORS
    + """
    class Int8Tensor(WrapperTensor):
        names = ("qdata", "scale")

        def dequantize(self):
            return self.qdata.to(self.scale.dtype) * self.scale

    def quantized(weight, act_quant_kwargs=None):
        scale = weight.abs().amax(1, keepdim=True) / 127
        qdata = (weight / scale).round().to(torch.int8)
        return Int8Tensor(weight, qdata=qdata, scale=scale, act_quant_kwargs=act_quant_kwargs)
"""
)

ACTIVATION_TENSOR = (
    TENSORS
    + """
    class LinearActivationQuantizedTensor(WrapperTensor):
        names = ("original_weight_tensor",)

        def dequantize(self):
            return self.original_weight_tensor.dequantize()
"""
)

QUANTO = """
    import torch

    class QModuleMixin:
        pass

    class QLinear(QModuleMixin, torch.nn.Linear):
        def forward(self, input):
            return torch.nn.functional.linear(input, self.weight, bias=self.bias)
"""

PARA_ATTN = """
    import functools
    import types

    class CacheContext:
        residual_diff_threshold = 0.0

    utils = types.SimpleNamespace(CacheContext=CacheContext)

    def apply_cache_on_pipe(pipe, **kwargs):
        original_call, forward = type(pipe).__call__, pipe.transformer.forward

        @functools.wraps(original_call)
        def new_call(self, *args, **kwargs_):
            context = kwargs
            return original_call(self, *args, **kwargs_)

        @functools.wraps(forward)
        def new_forward(self, *args, **given):
            return forward(*args, **given)

        type(pipe).__call__ = new_call
        pipe.transformer.forward = new_forward.__get__(pipe.transformer)
        pipe.transformer._is_cached = True
"""

PARA_ATTN_OF_0_3_10 = """
    import functools
    import types

    def apply_cache_on_transformer(transformer, residual_diff_threshold):
        cached_transformer_blocks = [types.SimpleNamespace(residual_diff_threshold=residual_diff_threshold)]
        original_forward = transformer.forward

        @functools.wraps(type(transformer).forward)
        def new_forward(self, *args, **kwargs):
            blocks = cached_transformer_blocks
            return original_forward(*args, **kwargs)

        transformer.forward = new_forward.__get__(transformer)
        transformer._is_cached = True
"""
