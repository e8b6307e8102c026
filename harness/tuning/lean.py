"""The same sums with fewer passes over memory: layers of a model with an adapter, for the time of a training.

PEFT's LoRA layer writes the base's output, the adapter's product, its scaling and their sum one after the other; here
the adapter's product is added into the base's output by the matrix product itself. transformers' RMS norm goes through
float32 copies in six steps. On a processor these passes cost more than the products that they stand between.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

from harness.generation.lean import is_plain_norm


@contextmanager
def lean_layers(model: Any) -> Iterator[None]:
    """While this lasts, LoRA and RMS norm layers of a PEFT model compute in the lean way."""
    changed = []
    for module in model.modules():
        forward = _lean_forward(module)
        if forward is not None:
            module.forward = forward
            changed.append(module)
    try:
        yield
    finally:
        for module in changed:
            del module.forward  # the class's own is seen again


def _lean_forward(module: Any) -> Any:
    if hasattr(module, "lora_A") and _plain_lora(module):
        name = module.active_adapters[0]
        return lambda x, *args, **options: _function().lora.apply(
            x,
            module.base_layer.weight,
            module.base_layer.bias,
            module.lora_A[name].weight,
            module.lora_B[name].weight,
            module.scaling[name],
        )
    if is_plain_norm(module) and not module.weight.requires_grad:
        return lambda x: _function().norm.apply(x, module.weight, module.variance_epsilon)
    return None


def _plain_lora(module: Any) -> bool:
    import torch

    names = module.active_adapters
    return (
        len(names) == 1
        and type(module.base_layer) is torch.nn.Linear
        and not module.merged
        and not module.use_dora.get(names[0], False)
        and isinstance(module.lora_dropout[names[0]], torch.nn.Identity)
    )


class _Functions(NamedTuple):
    lora: Any
    norm: Any


@cache
def _function() -> _Functions:
    import torch
    from torch.nn.functional import linear

    class Lora(torch.autograd.Function):  # type: ignore[misc] # torch ships no usable types
        """y = x W' + b + s (x A') B'; gradients for x, A and B."""

        @staticmethod
        def forward(ctx: Any, *given: Any) -> Any:
            x, weight, bias, down, up, scale = given
            flat = x.reshape(-1, x.shape[-1])
            small = linear(flat, down)
            out = linear(flat, weight, bias).addmm_(small, up.t(), alpha=scale)
            ctx.save_for_backward(flat, weight, down, up, small)
            ctx.scale, ctx.shape = scale, x.shape
            return out.view(*x.shape[:-1], out.shape[-1])

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            flat, weight, down, up, small = ctx.saved_tensors
            grad = grad.reshape(-1, grad.shape[-1])
            d_small = (grad @ up).mul_(ctx.scale)
            d_x = None
            if ctx.needs_input_grad[0]:
                d_x = (grad @ weight).addmm_(d_small, down).view(ctx.shape)
            return d_x, None, None, d_small.t() @ flat, (grad.t() @ small).mul_(ctx.scale), None

    class Norm(torch.autograd.Function):  # type: ignore[misc]
        """y = w x / rms(x), rms over the last dimension, in float32 as transformers has it."""

        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any, epsilon: float) -> Any:
            size = x.shape[-1]
            length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
            inverse = (length.square() / size + epsilon).rsqrt()
            unit = (x * inverse).to(x.dtype)
            ctx.save_for_backward(unit, weight, inverse)
            return unit * weight

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            unit, weight, inverse = ctx.saved_tensors
            upstream = grad * weight
            along = (upstream * unit).mean(-1, keepdim=True, dtype=torch.float32)
            return ((upstream - unit * along) * inverse).to(unit.dtype), None, None

    return _Functions(Lora, Norm)
