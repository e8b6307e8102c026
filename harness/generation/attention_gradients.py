"""The backward pass of attention over a flat row.

The gradients of one part of the keys need only the final output and the final log-sum-exp, not those of the part
(Dao et al. 2022, arXiv 2205.14135; over several parts Liu et al. 2023, arXiv 2310.01889), so each part is done alone
and the gradients are added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from harness.generation.attention import Flat, Known, Packed, attend_packed, put

BLOCK = 224
"""Tokens of a block in the backward pass of causal attention."""


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

    In float32: the kernel's bf16 form is no faster on long runs and several times slower on short ones.

    Args:
        grad: gradient of the output, (tokens, heads, width).
        saved: query, key, value, output, log-sum-exp.
    """
    import torch

    query, key, value, out, total, grad = (t.float() for t in (*saved, grad))
    heads = query.shape[1] // key.shape[1]
    key, value = (t.repeat_interleave(heads, 1) for t in (key, value))
    targets = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
    for group in plan.groups:
        upstream = grad[group.index]
        if group.real is not None:
            upstream = upstream * group.real[..., None, None]
        parts = [upstream, *(t[group.index] for t in (query, key, value, out, total))]
        found = _causal([t.transpose(1, 2) for t in parts], scale=scale)
        for target, part in zip(targets, found, strict=True):
            put(target, part.transpose(1, 2), group)
    for reach in plan.reaches:
        if isinstance(reach.run, Known):
            raise ValueError("runs computed earlier carry no gradients; pack them into the row")
        span, run = slice(reach.first, reach.last), reach.run
        parts = [grad[span], query[span], key[run], value[run], out[span], total[span]]
        found = _backward([t.transpose(0, 1)[None] for t in parts], causal=False, scale=scale)
        for target, part, where in zip(targets, found, (span, run, run), strict=True):
            target[where] += part[0].transpose(0, 1)
    d_query, d_key, d_value = (t.to(saved[0].dtype) for t in (targets[0], *_by_key_head(targets[1:], heads)))
    return d_query, d_key, d_value


def _backward(parts: Sequence[Any], *, causal: bool, scale: float) -> tuple[Any, Any, Any]:
    """Gradients of one part; `parts`: upstream, query, key, value, output, log-sum-exp, (runs, heads, tokens, ...)."""
    import torch

    found: tuple[Any, Any, Any] = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
        *parts, 0.0, causal, scale=scale
    )
    return found


def _causal(parts: Sequence[Any], *, scale: float) -> tuple[Any, Any, Any]:
    """Gradients of causal attention, block by block, so that little above the diagonal is computed."""
    import torch

    length = parts[1].shape[2]
    if length <= 2 * BLOCK:
        return _backward(parts, causal=True, scale=scale)
    d_query, d_key, d_value = torch.empty_like(parts[1]), torch.zeros_like(parts[2]), torch.zeros_like(parts[3])
    for start in range(0, length, BLOCK):
        here = slice(start, start + BLOCK)
        for keys, causal in ((here, True), (slice(0, start), False)):
            if not causal and start == 0:
                continue
            places = (here, here, keys, keys, here, here)
            block = [t[:, :, place] for t, place in zip(parts, places, strict=True)]
            a, b, c = _backward(block, causal=causal, scale=scale)
            d_query[:, :, here] = a if causal else d_query[:, :, here] + a
            d_key[:, :, keys] += b
            d_value[:, :, keys] += c
    return d_query, d_key, d_value


def _by_key_head(gradients: Sequence[Any], heads: int) -> list[Any]:
    """Gradients of repeated key heads, summed: (tokens, heads, width) to (tokens, key heads, width)."""
    if heads == 1:
        return list(gradients)
    return [g.view(len(g), -1, heads, g.shape[-1]).sum(2) for g in gradients]
