"""Attention over prompts that share their beginnings: one copy of the shared keys and values for all of them.

All tokens of many prompts stand in one flat row without padding. A token attends to the runs before it (shared,
computed once, no copy a prompt) and to its own run; the parts are put together by their log-sum-exp, as in Flash
Attention (Dao et al. 2022, arXiv 2205.14135) and in cascade attention over shared prefixes (Juravsky et al. 2024, arXiv
2402.05099). The result is that of each prompt alone; `attention_gradients` has the backward pass.

transformers calls it through its attention interface (`network.set_attn_implementation(NAME)`); without a plan it is
plain scaled dot-product attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from harness.generation.forest import Forest, plant
from harness.generation.isolation import attempt

NAME = "shared_prefix"

SPREAD, SLACK = 1.25, 8
"""Runs are padded together while the longest is at most 1.25 times the shortest plus 8 tokens."""


class Flat(NamedTuple):
    """What one layer attends with, one flat row."""

    query: Any
    """(tokens, heads, width)."""
    key: Any
    """(tokens, key heads, width)."""
    value: Any
    """As `key`."""


class Plan(Protocol):
    """What one pass through the network attends to."""

    def attend(self, layer: int, row: Flat, *, scale: float) -> Any:
        """Attention of one layer: (tokens, heads, width)."""


def ready(network: Any) -> bool:
    """Whether the network may be used with plans; the first time, it is looked at and tried out."""
    found = getattr(network, "_bakeoff_flat", None)
    if found is None:
        found = network._bakeoff_flat = supported(network) and _installed(network)
    return bool(found)


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
    before = network.config._attn_implementation
    if before not in ("sdpa", NAME):
        return False
    _register()
    near = attempt(lambda: _near(network))
    if near is not True:  # another result, or a network that is built in another way and raises
        network.set_attn_implementation(before)
    return near is True


def _register() -> None:
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def known(network: Any, *, is_ready: bool) -> None:
    """Tell a network whose weights are not here yet what `ready` found of another copy of it."""
    network._bakeoff_flat = is_ready
    if is_ready:
        _register()
        network.set_attn_implementation(NAME)


def _near(network: Any) -> bool:
    own = _trial(network, flat=False)
    network.set_attn_implementation(NAME)
    return float((own - _trial(network, flat=True)).norm() / own.norm()) < TOLERANCE


TOLERANCE = 0.2
"""Relative distance of logits: over 30 layers bf16 makes about 0.01 with AMX and 0.05 with AVX-512; a wrong mask or
position makes about 1."""


def _trial(network: Any, *, flat: bool) -> Any:
    """Logits after two short prompts that share a beginning."""
    import torch

    size = network.get_input_embeddings().num_embeddings
    shared = [i % size for i in range(11, 19)]
    prompts = [[*shared, 3 % size, 5 % size], [*shared, 7 % size, 9 % size, 4 % size]]
    with torch.inference_mode():
        if not flat:
            rows = [network(input_ids=torch.tensor([p]), use_cache=False).logits[0, -1] for p in prompts]
            return torch.stack(rows).float()
        plan = Packed(plant(prompts, worth=1))
        hidden = run(network, plan, tokens=torch.tensor(plan.tokens), positions=torch.tensor(plan.positions))
        segments = plan.forest.segments
        ends = {segments[place].prompt: plan.starts[place + 1] - 1 for place in plan.forest.leaves}
        asked = torch.tensor([ends[i] for i in range(len(prompts))])
        return network.get_output_embeddings()(hidden[asked]).float()


def run(network: Any, plan: Plan, *, tokens: Any, positions: Any) -> Any:
    """One pass over a flat row: the last hidden states, (tokens, width), before the head.

    Args:
        tokens: (tokens,) ids.
        positions: (tokens,) positions in their prompts.
    """
    inner = network.get_base_model() if hasattr(network, "get_base_model") else network
    # A mask that is four-dimensional already is passed on as it is: nothing is built, and nothing reads it.
    mask = tokens.new_zeros(1, 1, 1, 1)
    out = inner.base_model(
        input_ids=tokens[None], position_ids=positions[None], attention_mask=mask, use_cache=False, plan=plan
    )
    return out.last_hidden_state[0]


def _attend(module: Any, *given: Any, plan: Plan | None = None, **options: Any) -> tuple[Any, None]:
    """What transformers calls: `given` is query, key, value, mask; (1, heads, tokens, width) each but the mask."""
    if plan is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        found: tuple[Any, None] = sdpa_attention_forward(module, *given, **options)
        return found
    row = Flat(*(t.transpose(1, 2)[0] for t in given[:3]))
    scale = options.get("scaling") or row.query.shape[-1] ** -0.5
    return plan.attend(module.layer_idx, row, scale=scale)[None], None


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
    """(runs, longest): places in the flat row; padding repeats place 0 of the row. A slice where there is one run."""
    real: Any
    """(runs, longest) bool, or None where nothing is padded."""

    def take(self, row: Any) -> Any:
        """What stands at these places, (tokens, ...) to (runs, longest, ...); a view where there is one run."""
        found = row[self.index]
        return found[None] if isinstance(self.index, slice) else found

    def put(self, row: Any, found: Any) -> None:
        """Write (runs, longest, ...) to these places, padding left out."""
        if isinstance(self.index, slice):
            row[self.index] = found[0]
        elif self.real is None:
            row[self.index.flatten()] = found.flatten(0, 1)
        else:
            row[self.index[self.real]] = found[self.real]


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
        parents = [-1 if s.parent is None else s.parent for s in self.forest.segments]
        for place, segment in enumerate(self.forest.segments):
            if segment.prompt is None:
                last = place + 1
                while last < len(parents) and parents[last] >= place:
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
        if len(members) == 1:
            return Group(slice(self.starts[members[0]], self.starts[members[0] + 1]), None)
        index, real = self.side_by_side(members)
        return Group(index, None if bool(real.all()) else real)

    def side_by_side(self, members: Sequence[int]) -> tuple[Any, Any]:
        """Places in the flat row of some segments' tokens, (segments, longest), and which of them are no padding."""
        import torch

        lengths = torch.tensor([len(self.forest.segments[i].tokens) for i in members])[:, None]
        starts = torch.tensor([self.starts[i] for i in members])[:, None]
        columns = torch.arange(int(lengths.max()))[None, :]
        real = columns < lengths
        return torch.where(real, starts + columns, 0), real

    def attend(self, layer: int, row: Flat, *, scale: float) -> Any:
        """See `Plan`."""
        if self.keep:
            self.kept.append((row.key, row.value))
        if row.query.requires_grad or row.key.requires_grad:
            from harness.generation.attention_gradients import attend_with_gradients

            return attend_with_gradients(self, layer, row, scale=scale)
        return attend_packed(self, layer, row, scale=scale)[0]


def attend_packed(plan: Packed, layer: int, row: Flat, *, scale: float) -> tuple[Any, Any]:
    """Output (tokens, heads, width) and log-sum-exp (tokens, heads) of a flat row."""
    import torch

    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    out, total = torch.empty_like(row.query), row.query.new_empty(row.query.shape[:2], dtype=torch.float32)
    for group in plan.groups:
        found, logs = flash(*(group.take(t).transpose(1, 2) for t in row), 0.0, True, scale=scale)
        group.put(out, found.transpose(1, 2))
        group.put(total, logs.transpose(1, 2))
    for reach in plan.reaches:
        keys, values = _run_of(reach, layer, row)
        span = slice(reach.first, reach.last)
        found, logs = flash(row.query[span].transpose(0, 1)[None], keys, values, 0.0, False, scale=scale)
        merge_part(out, total, span, found=found[0].transpose(0, 1), logs=logs[0].transpose(0, 1))
    return out, total


def _run_of(reach: Reach, layer: int, row: Flat) -> tuple[Any, Any]:
    if isinstance(reach.run, Known):
        return reach.run.keys[layer], reach.run.values[layer]
    return row.key[reach.run].transpose(0, 1)[None], row.value[reach.run].transpose(0, 1)[None]


def merge_part(out: Any, total: Any, span: slice, *, found: Any, logs: Any) -> None:
    """Put a further part of the keys into what some tokens have attended to so far."""
    before = total[span]
    after = before.logaddexp(logs)
    mine, its = (before - after).exp()[..., None], (logs - after).exp()[..., None]
    out[span] = (out[span] * mine + found * its).to(out.dtype)
    total[span] = after
