"""Attention over prompts that share their beginnings: one copy of the shared keys and values for all of them.

All tokens of many prompts stand in one flat row without padding. A token attends to the runs before it (shared, computed
once, no copy a prompt) and to its own run; the parts are put together by their log-sum-exp, as in Flash Attention
(Dao et al. 2022, arXiv 2205.14135) and in cascade attention over shared prefixes (Juravsky et al. 2024, arXiv
2402.05099). The result is that of each prompt alone. It is differentiable: the backward pass of a part needs only the
final output and the final log-sum-exp (Liu et al. 2023, arXiv 2310.01889).

transformers calls it through its attention interface (`network.set_attn_implementation(NAME)`); without a plan it is
plain scaled dot-product attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from harness.generation.forest import Forest, plant

NAME = "shared_prefix"

BLOCK = 224
"""Tokens of a block in the backward pass of causal attention."""

SPREAD, SLACK = 1.25, 8
"""Runs are padded together while the longest is at most 1.25 times the shortest plus 8 tokens."""


class Plan(Protocol):
    """What one pass through the network attends to."""

    def attend(self, layer: int, query: Any, key: Any, value: Any, *, scale: float) -> Any:
        """Attention of one layer.

        Args:
            query: (tokens, heads, width).
            key: (tokens, key heads, width).
            value: as `key`.

        Returns:
            (tokens, heads, width).
        """


def ready(network: Any) -> bool:
    """Whether the network may be used with plans; the first time, it is looked at and tried out."""
    known = getattr(network, "_bakeoff_flat", None)
    if known is None:
        known = network._bakeoff_flat = supported(network) and _installed(network)
    return bool(known)


def supported(network: Any) -> bool:
    """Whether every layer is plain full attention, on a processor that has the fused kernel."""
    import torch

    config = network.config
    return (
        next(network.parameters()).device.type == "cpu"
        and hasattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu")
        and bool(getattr(network, "_supports_attention_backend", False))
        and set(getattr(config, "layer_types", None) or ["full_attention"]) == {"full_attention"}
        and not any(getattr(config, name, None) for name in OTHERWISE)
    )


OTHERWISE = ("sliding_window", "attn_logit_softcapping", "final_logit_softcapping", "logit_scale", "logits_scaling")
"""Settings of a network whose attention or head does more than what is done here."""


def _installed(network: Any) -> bool:
    """Register the attention and compare it with the network's own on two short prompts; undone where they differ."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    before = network.config._attn_implementation
    if before not in ("sdpa", NAME):
        return False
    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    try:
        own = _trial(network, flat=False)
        network.set_attn_implementation(NAME)
        found = _trial(network, flat=True)
        near = float((own - found).norm() / own.norm()) < TOLERANCE
    except (TypeError, ValueError, AttributeError, RuntimeError):  # a network that is built in another way
        near = False
    if not near:
        network.set_attn_implementation(before)
    return near


TOLERANCE = 0.05
"""Relative distance of last hidden states; bf16 rounding makes about 0.01 over 30 layers, a wrong mask or position 1."""


def _trial(network: Any, *, flat: bool) -> Any:
    """Last hidden states of two short prompts that share a beginning."""
    import torch

    size = network.get_input_embeddings().num_embeddings
    shared = [i % size for i in range(11, 19)]
    prompts = [[*shared, 3 % size, 5 % size], [*shared, 7 % size, 9 % size, 4 % size]]
    with torch.inference_mode():
        if not flat:
            rows = [network.base_model(input_ids=torch.tensor([p]), use_cache=False) for p in prompts]
            return torch.stack([row.last_hidden_state[0, -1] for row in rows]).float()
        plan = Packed(plant(prompts, worth=1))
        hidden = run(network, plan, tokens=torch.tensor(plan.tokens), positions=torch.tensor(plan.positions))
        segments = plan.forest.segments
        ends = {segments[place].prompt: plan.starts[place + 1] - 1 for place in plan.forest.leaves}
        return hidden[torch.tensor([ends[i] for i in range(len(prompts))])].float()


def run(network: Any, plan: Plan, *, tokens: Any, positions: Any) -> Any:
    """One pass over a flat row: the last hidden states, (tokens, width), before the head.

    Args:
        tokens: (tokens,) ids.
        positions: (tokens,) positions in their prompts.
    """
    inner = network.get_base_model() if hasattr(network, "get_base_model") else network
    # A mask that is four-dimensional already is passed on as it is: nothing is built, and nothing reads it.
    ready = tokens.new_zeros(1, 1, 1, 1)
    out = inner.base_model(
        input_ids=tokens[None], position_ids=positions[None], attention_mask=ready, use_cache=False, plan=plan
    )
    return out.last_hidden_state[0]


def _attend(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, *args: Any, plan: Plan | None = None, **options: Any
) -> tuple[Any, None]:
    if plan is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        found: tuple[Any, None] = sdpa_attention_forward(module, query, key, value, attention_mask, *args, **options)
        return found
    flat = [t.transpose(1, 2)[0] for t in (query, key, value)]
    scale = options.get("scaling") or query.shape[-1] ** -0.5
    return plan.attend(module.layer_idx, *flat, scale=scale)[None], None


@dataclass(frozen=True, slots=True)
class Known:
    """A shared run computed earlier. `keys` and `values`: per layer (1, key heads, tokens, width)."""

    keys: tuple[Any, ...]
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """The tokens from `first` to `last` (exclusive) attend to all of a shared run."""

    first: int
    last: int
    run: slice | Known
    """Where the run stands in the same flat row, or a run computed earlier."""


@dataclass(frozen=True, slots=True)
class Group:
    """Runs of similar length, side by side, padded at their end."""

    index: Any
    """(runs, longest): places in the flat row; padding repeats place 0 of the row."""
    real: Any
    """(runs, longest) bool, or None where nothing is padded."""
    runs: tuple[int, ...]
    """Which segments these are."""


@dataclass(frozen=True)
class Packed:
    """The plan of a forest in one flat row. Not slotted: what follows from the forest is worked out once."""

    forest: Forest
    before: Sequence[Known] = ()
    """Runs that all tokens attend to, computed earlier."""
    keep: bool = False
    """Collect each layer's keys and values."""
    kept: list[tuple[Any, Any]] = field(default_factory=list)

    @cached_property
    def starts(self) -> list[int]:
        """Where each segment begins in the flat row, and the row's length."""
        places = [0]
        for segment in self.forest.segments:
            places.append(places[-1] + len(segment.tokens))
        return places

    @cached_property
    def tokens(self) -> list[int]:
        """The flat row."""
        return [token for segment in self.forest.segments for token in segment.tokens]

    @cached_property
    def positions(self) -> list[int]:
        """The position of each token in its prompt."""
        return [s.start + i for s in self.forest.segments for i in range(len(s.tokens))]

    @cached_property
    def reaches(self) -> list[Reach]:
        """Who attends to which shared run."""
        found = [Reach(0, self.starts[-1], known) for known in self.before]
        parents = [s.parent for s in self.forest.segments]
        for place, segment in enumerate(self.forest.segments):
            if segment.prompt is None:
                last = place + 1
                while last < len(parents) and parents[last] is not None and parents[last] >= place:  # type: ignore[operator]
                    last += 1
                here = slice(self.starts[place], self.starts[place + 1])
                found.append(Reach(self.starts[place + 1], self.starts[last], here))
        return found

    @cached_property
    def groups(self) -> list[Group]:
        """All segments, those of similar length together."""
        lengths = [len(s.tokens) for s in self.forest.segments]
        order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
        groups: list[list[int]] = []
        for place in order:
            if groups and lengths[place] <= SPREAD * lengths[groups[-1][0]] + SLACK:
                groups[-1].append(place)
            else:
                groups.append([place])
        return [self._group(sorted(members)) for members in groups]

    def _group(self, members: Sequence[int]) -> Group:
        import torch

        lengths = torch.tensor([len(self.forest.segments[i].tokens) for i in members])[:, None]
        starts = torch.tensor([self.starts[i] for i in members])[:, None]
        columns = torch.arange(int(lengths.max()))[None, :]
        real = columns < lengths
        index = torch.where(real, starts + columns, 0)
        return Group(index, None if bool(real.all()) else real, tuple(members))

    def attend(self, layer: int, query: Any, key: Any, value: Any, *, scale: float) -> Any:
        """See `Plan`."""
        if self.keep:
            self.kept.append((key, value))
        if query.requires_grad or key.requires_grad:
            return _autograd().apply(query, key, value, self, layer, scale)
        return attend_packed(self, layer, query, key, value, scale=scale)[0]


def attend_packed(plan: Packed, layer: int, query: Any, key: Any, value: Any, *, scale: float) -> tuple[Any, Any]:
    """Output (tokens, heads, width) and log-sum-exp (tokens, heads) of a flat row."""
    import torch

    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    out, total = torch.empty_like(query), query.new_empty(query.shape[:2], dtype=torch.float32)
    for group in plan.groups:
        rows = [t[group.index].transpose(1, 2) for t in (query, key, value)]
        found, logs = flash(*rows, 0.0, True, scale=scale)
        _put(out, found.transpose(1, 2), group)
        _put(total, logs.transpose(1, 2), group)
    for reach in plan.reaches:
        keys, values = _run_of(reach, layer, key, value)
        span = slice(reach.first, reach.last)
        found, logs = flash(query[span].transpose(0, 1)[None], keys, values, 0.0, False, scale=scale)
        merge_part(out, total, span, found[0].transpose(0, 1), logs[0].transpose(0, 1))
    return out, total


def _run_of(reach: Reach, layer: int, key: Any, value: Any) -> tuple[Any, Any]:
    if isinstance(reach.run, Known):
        return reach.run.keys[layer], reach.run.values[layer]
    return key[reach.run].transpose(0, 1)[None], value[reach.run].transpose(0, 1)[None]


def _put(target: Any, found: Any, group: Group) -> None:
    if group.real is None:
        target[group.index.flatten()] = found.flatten(0, 1)
    else:
        target[group.index[group.real]] = found[group.real]


def merge_part(out: Any, total: Any, span: slice, found: Any, logs: Any) -> None:
    """Put a further part of the keys into what some tokens have attended to so far."""
    before = total[span]
    after = before.logaddexp(logs)
    mine, its = (before - after).exp()[..., None], (logs - after).exp()[..., None]
    out[span] = (out[span] * mine + found * its).to(out.dtype)
    total[span] = after


def _autograd() -> Any:
    """The differentiable form (made on first use: torch is imported late)."""
    global _function  # noqa: PLW0603 - one class for the life of the process
    if _function is None:
        _function = _make_function()
    return _function


_function: Any = None


def _make_function() -> Any:
    import torch

    class PackedAttention(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, query: Any, key: Any, value: Any, plan: Packed, layer: int, scale: float) -> Any:
            out, total = attend_packed(plan, layer, query, key, value, scale=scale)
            ctx.save_for_backward(query, key, value, out, total)
            ctx.plan, ctx.layer, ctx.scale = plan, layer, scale
            return out

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            found = packed_gradients(ctx.plan, ctx.layer, grad, ctx.saved_tensors, scale=ctx.scale)
            return (*found, None, None, None)

    return PackedAttention


def packed_gradients(plan: Packed, layer: int, grad: Any, saved: Sequence[Any], *, scale: float) -> tuple[Any, Any, Any]:
    """Gradients of query, key and value from that of the output and what `attend_packed` saw and gave.

    In float32: the kernel's bf16 form is no faster on long runs and several times slower on short ones.
    """
    import torch

    query, key, value, out, grad, total = (t.float() for t in (*saved[:4], grad, saved[4]))
    heads = query.shape[1] // key.shape[1]
    key, value = (t.repeat_interleave(heads, 1) for t in (key, value))
    d_query, d_key, d_value = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
    for group in plan.groups:
        upstream = grad[group.index]
        if group.real is not None:
            upstream = upstream * group.real[..., None, None]
        rows = [t[group.index].transpose(1, 2) for t in (query, key, value, out)]
        found = _causal_gradients(upstream.transpose(1, 2), *rows, total[group.index].transpose(1, 2), scale=scale)
        for target, part in zip((d_query, d_key, d_value), found, strict=True):
            _put(target, part.transpose(1, 2), group)
    for reach in plan.reaches:
        if isinstance(reach.run, Known):
            raise ValueError("runs computed earlier carry no gradients; pack them into the row")
        span, run_ = slice(reach.first, reach.last), reach.run
        g, q, k, v, o, logs = (t.transpose(0, 1)[None] for t in (grad[span], query[span], key[run_], value[run_], out[span], total[span]))
        found = _backward(g, q, k, v, o, logs, 0.0, False, scale=scale)
        for target, part, where in zip((d_query, d_key, d_value), found, (span, run_, run_), strict=True):
            target[where] += part[0].transpose(0, 1)
    dtype = saved[0].dtype
    return d_query.to(dtype), _by_key_head(d_key, heads).to(dtype), _by_key_head(d_value, heads).to(dtype)


def _backward(*arguments: Any, scale: float) -> tuple[Any, Any, Any]:
    import torch

    found: tuple[Any, Any, Any] = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
        *arguments, scale=scale
    )
    return found


def _causal_gradients(grad: Any, query: Any, key: Any, value: Any, out: Any, logs: Any, *, scale: float) -> tuple[Any, Any, Any]:
    """Gradients of causal attention, block by block, so that what lies above the diagonal is not computed."""
    import torch

    length = query.shape[2]
    if length <= 2 * BLOCK:
        return _backward(grad, query, key, value, out, logs, 0.0, True, scale=scale)
    d_query, d_key, d_value = torch.empty_like(query), torch.zeros_like(key), torch.zeros_like(value)
    for start in range(0, length, BLOCK):
        here, before = slice(start, start + BLOCK), slice(0, start)
        g, q, o, l_ = (t[:, :, here] for t in (grad, query, out, logs))
        a, b, c = _backward(g, q, key[:, :, here], value[:, :, here], o, l_, 0.0, True, scale=scale)
        d_query[:, :, here] = a
        d_key[:, :, here] += b
        d_value[:, :, here] += c
        if start:
            a, b, c = _backward(g, q, key[:, :, before], value[:, :, before], o, l_, 0.0, False, scale=scale)
            d_query[:, :, here] += a
            d_key[:, :, before] += b
            d_value[:, :, before] += c
    return d_query, d_key, d_value


def _by_key_head(gradient: Any, heads: int) -> Any:
    """Gradients of repeated key heads, summed: (tokens, heads, width) to (tokens, key heads, width)."""
    return gradient.view(len(gradient), -1, heads, gradient.shape[-1]).sum(2) if heads > 1 else gradient
