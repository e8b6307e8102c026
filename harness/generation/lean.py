"""A network's layers while it answers: weights laid out as the matrix unit reads them, fewer passes over memory.

On a processor a decoding step is bound by reading the weights; oneDNN reads its own blocked layout about a third faster
than the plain one. The layout is a copy of the weights, made on first use and kept until the weights change (`forget`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from harness.generation.isolation import attempt

SPARE = 4
"""The copies are made only where so many times the weights' size is free."""

ROWS_HINT = 32
"""Rows that the layout is made for; it serves any number."""


@contextmanager
def lean_layers(network: Any) -> Iterator[None]:
    """While this lasts, linear layers and RMS norms of the network compute in the lean way.

    For inference only; a network without such layers, or on another device, is left as it is.
    """
    known = getattr(network, "_bakeoff_lean", None)
    if known is None:
        known = network._bakeoff_lean = _forwards(network)
    for module, forward in known:
        module.forward = forward
    try:
        yield
    finally:
        for module, _ in known:
            del module.forward  # the class's own is seen again


def forget(network: Any) -> None:
    """The weights have changed, or will: the copies are dropped."""
    network._bakeoff_lean = None


def _forwards(network: Any) -> list[tuple[Any, Any]]:
    import torch

    first = next(network.parameters())
    if first.device.type != "cpu" or first.dtype != torch.bfloat16 or not torch.backends.mkldnn.is_available():
        return []
    size = sum(p.numel() * p.element_size() for p in network.parameters())
    if size * SPARE > psutil.virtual_memory().available:
        return []
    found = attempt(lambda: [(module, _forward(module)) for module in network.modules()])
    # A build of torch whose oneDNN has no such layout for this processor: the layers stay as they are.
    return [] if isinstance(found, Exception) else [(m, forward) for m, forward in found if forward is not None]


def _forward(module: Any) -> Any:
    import torch

    if type(module) is torch.nn.Linear:
        return _linear(module)
    if is_plain_norm(module):
        return _norm(module)
    return None


def is_plain_norm(module: Any) -> bool:
    """Whether a module is Llama's RMS norm: `weight * (x / rms(x))`, rounded before the weight."""
    name = type(module).__name__
    return name.endswith("RMSNorm") and hasattr(module, "variance_epsilon") and "Gemma" not in name


def _linear(module: Any) -> Any:
    import torch

    apply = torch.ops.mkldnn._linear_pointwise
    packed = torch.ops.mkldnn._reorder_linear_weight(module.weight.detach(), ROWS_HINT)
    bias, wide = module.bias, module.out_features

    def forward(x: Any) -> Any:
        return apply(x.reshape(-1, x.shape[-1]), packed, bias, "none", [], "").view(*x.shape[:-1], wide)

    forward(module.weight[:1].detach())  # raises here, not in a run, where it cannot be done
    return forward


def _norm(module: Any) -> Any:
    import torch

    weight, epsilon = module.weight.detach(), module.variance_epsilon

    def forward(x: Any) -> Any:
        square = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32).square_()
        return (x * square.div_(x.shape[-1]).add_(epsilon).rsqrt_()).to(x.dtype).mul_(weight)

    return forward
