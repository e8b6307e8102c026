"""The backward pass of attention over a flat row.

The gradients of one part of the keys need only the final output and the final log-sum-exp, not those of the part
(Dao et al. 2022, arXiv 2205.14135; over several parts Liu et al. 2023, arXiv 2310.01889), so each part is done alone
and the gradients are added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from harness.generation.attention import Flat, Known, Packed, attend_packed

SHORT = 128
"""Runs of at most so many tokens go backwards in float32: the kernel's bf16 form is several times slower on them."""


def attend_with_gradients(plan: Packed, layer: int, row: Flat, *, scale: float) -> Any:
    """`attend_packed`, differentiable."""
    return _function().apply(*row, plan, layer, scale)


@cache
def _function() -> Any:
    """Made on first use: torch is imported late."""
    import torch

    class PackedAttention(torch.autograd.Function):  # type: ignore[misc] # torch ships no usable types
        @staticmethod
        def forward(ctx: Any, *given: Any) -> Any:
            row, (plan, layer, scale) = Flat(*given[:3]), given[3:]
            out, total = attend_packed(plan, layer, row, scale=scale)
            ctx.save_for_backward(*row, out, total)
            ctx.plan, ctx.scale = plan, scale
            return out

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return (*packed_gradients(ctx.plan, grad, ctx.saved_tensors, scale=ctx.scale), None, None, None)

    return PackedAttention


def packed_gradients(plan: Packed, grad: Any, saved: Sequence[Any], *, scale: float) -> tuple[Any, Any, Any]:
    """Gradients of query, key and value.

    Args:
        grad: gradient of the output, (tokens, heads, width).
        saved: query, key, value, output, log-sum-exp.
    """
    import torch

    query, key, value, out, total = saved
    heads = query.shape[1] // key.shape[1]
    key, value = (t.repeat_interleave(heads, 1) if heads > 1 else t for t in (key, value))
    targets = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
    for group in plan.groups:
        parts = [group.take(t) for t in (grad, query, key, value, out, total)]
        if group.real is not None:
            # Padding sends nothing back: no gradient arrives there, and its probabilities are exactly 0.
            parts[0] = parts[0] * group.real[..., None, None]
            parts[5] = parts[5].masked_fill(~group.real[..., None], torch.inf)
        if parts[0].shape[1] <= SHORT:
            parts = [t.float() for t in parts]
        found = _backward([t.transpose(1, 2) for t in parts], causal=True, scale=scale)
        for target, part in zip(targets, found, strict=True):
            group.put(target, part.transpose(1, 2).to(target.dtype))
    for reach in plan.reaches:
        if isinstance(reach.run, Known):
            raise ValueError("runs computed earlier carry no gradients; pack them into the row")
        span, run = slice(reach.first, reach.last), reach.run
        parts = [t.float() for t in (grad[span], query[span], key[run], value[run], out[span], total[span])]
        found = _backward([t.transpose(0, 1)[None] for t in parts], causal=False, scale=scale)
        for target, part, where in zip(targets, found, (span, run, run), strict=True):
            target[where] += part[0].transpose(0, 1)
    return targets[0], *_by_key_head(targets[1:], heads)


def _backward(parts: Sequence[Any], *, causal: bool, scale: float) -> tuple[Any, Any, Any]:
    """Gradients of one part; `parts`: upstream, query, key, value, output, log-sum-exp, (runs, heads, tokens, ...)."""
    import torch

    found: tuple[Any, Any, Any] = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
        *parts, 0.0, causal, scale=scale
    )
    return found


def _by_key_head(gradients: Sequence[Any], heads: int) -> tuple[Any, ...]:
    """Gradients of repeated key heads, summed: (tokens, heads, width) to (tokens, key heads, width)."""
    if heads == 1:
        return tuple(gradients)
    return tuple(g.view(len(g), -1, heads, g.shape[-1]).sum(2) for g in gradients)
