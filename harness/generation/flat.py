"""Decoding of many prompts at once: shared beginnings computed once, no padding, rows come and go.

Prompts enter in one flat row (see `attention`); each decoding step then is one token of every active row. Finished rows
leave and waiting prompts take their places (continuous batching, Yu et al. 2022, Orca).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.generation.attention import Flat, Known, Packed, merge_part, run
from harness.generation.forest import plant
from harness.generation.held import Held, chosen_tokens, rest_of

IsWhole = Callable[[list[int]], bool]
"""Whether the tokens so far hold a whole answer."""

ROWS = 128
"""Most rows that are decoded together."""
ROOM = 24_576
"""Most tokens of keys and values that rows may hold of their own, the answer's room included."""
PASS = 8_192
"""Most tokens of one pass of new prompts (a single longer prompt is a pass of its own)."""


@dataclass(slots=True)
class _Row:
    """A prompt under way."""

    prompt: int
    length: int
    """Tokens of its own that are in the store."""
    position: int
    """Position of its next token."""
    chain: tuple[Known, ...]
    """Shared runs before its own tokens, beyond what all rows share."""
    found: list[int] = field(default_factory=list)
    held: Held | None = None


@dataclass(slots=True)
class _Store:
    """Keys and values of the rows' own tokens, per layer (rows, room, key heads, width)."""

    keys: list[Any]
    values: list[Any]


class _Rows(NamedTuple):
    """The rows from `first` to `last` (exclusive) attend to a shared run."""

    first: int
    last: int
    run: Known


@dataclass(slots=True)
class _Step:
    """The plan of one decoding step: one token a row."""

    store: _Store
    at: Any
    """(rows,) where each row's new key goes, counted over all rows' rooms."""
    width: int
    """Tokens to look at, the longest row's."""
    mask: Any
    """(rows, 1, 1, width) additive, or None where all rows are equally long."""
    reaches: tuple[_Rows, ...]

    def attend(self, layer: int, row: Flat, *, scale: float) -> Any:
        """See `attention.Plan`."""
        import torch

        flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        keys, values = self.store.keys[layer], self.store.values[layer]
        rows, heads, wide = row.query.shape
        keys.view(-1, *keys.shape[2:]).index_copy_(0, self.at, row.key)
        values.view(-1, *values.shape[2:]).index_copy_(0, self.at, row.value)
        by_key_head = row.query.reshape(rows, keys.shape[2], -1, wide)
        seen = [t[:, : self.width].transpose(1, 2) for t in (keys, values)]
        own, logs = flash(by_key_head, *seen, 0.0, False, attn_mask=self.mask, scale=scale)
        out, total = own.reshape(rows, heads, wide), logs.reshape(rows, heads)
        for first, last, known in self.reaches:
            span = slice(first, last)
            asked = row.query[span].transpose(0, 1)[None]
            part, its = flash(asked, known.keys[layer], known.values[layer], 0.0, False, scale=scale)
            merge_part(out, total, span, found=part[0].transpose(0, 1), logs=its[0].transpose(0, 1))
        return out


def known_run(network: Any, tokens: Sequence[int]) -> Known:
    """Compute a run that many prompts start with."""
    import torch

    with torch.inference_mode():
        plan = Packed(plant([tokens]), keep=True)
        run(network, plan, tokens=torch.tensor(plan.tokens), positions=torch.tensor(plan.positions))
        return _cut(plan, 0, len(tokens))


def _cut(plan: Packed, first: int, last: int) -> Known:
    keys = tuple(k[first:last].transpose(0, 1)[None].contiguous() for k, _ in plan.kept)
    values = tuple(v[first:last].transpose(0, 1)[None].contiguous() for _, v in plan.kept)
    return Known(keys, values)


def decode(
    network: Any,
    prompts: Sequence[Sequence[int]],
    *,
    root: Known | None,
    start: int,
    max_new_tokens: int,
    stop_ids: frozenset[int],
    is_whole: IsWhole | None = None,
    held: Sequence[Held] | None = None,
) -> list[tuple[list[int], str]]:
    """Continuation of prompts.

    Args:
        prompts: token ids after the root, at least one each.
        root: what all prompts start with, or None.
        start: tokens in the root.
        is_whole: asked after each token whether the row's answer is whole already.
        held: who chooses the tokens, one a prompt; None: the likeliest are taken.

    Returns:
        (new token ids with the stop token, `stop` or `length`) a prompt.
    """
    import torch

    with torch.inference_mode():
        state = _Decoding(network, prompts, root=root, start=start, most=max_new_tokens)
        state.stop_ids, state.is_whole, state.held = stop_ids, is_whole, held
        while state.rows or state.waiting:
            state.turn()
        return [state.done[i] for i in range(len(prompts))]


class _Decoding:
    """All prompts of a call: waiting, active, done."""

    def __init__(
        self, network: Any, prompts: Sequence[Sequence[int]], *, root: Known | None, start: int, most: int
    ) -> None:
        self.network, self.prompts, self.start, self.most = network, prompts, start, most
        self.root: tuple[Known, ...] = (root,) if root else ()
        self.waiting = sorted(range(len(prompts)), key=lambda i: tuple(prompts[i]), reverse=True)
        self.rows: list[_Row] = []
        self.store = _Store([], [])
        self.done: dict[int, tuple[list[int], str]] = {}
        self.stop_ids: frozenset[int] = frozenset()
        self.is_whole: IsWhole | None = None
        self.held: Sequence[Held] | None = None

    def turn(self) -> None:
        """Let new prompts in where there is room, else one token more for every row."""
        active = [place for place, row in enumerate(self.rows) if row.prompt not in self.done]
        if len(active) * 2 <= len(self.rows):
            self._keep(active)
            entering = self._entering()
            if entering:
                self._enter(entering)
                return
        if self.rows:
            self._step()

    def _keep(self, active: Sequence[int]) -> None:
        import torch

        chosen = torch.tensor(active, dtype=torch.long)
        self.rows = [self.rows[place] for place in active]
        width = max((row.length for row in self.rows), default=0)
        for layer in range(len(self.store.keys)):
            self.store.keys[layer] = self.store.keys[layer][chosen, :width]
            self.store.values[layer] = self.store.values[layer][chosen, :width]

    def _entering(self) -> list[int]:
        """The next waiting prompts that fit beside the active rows, taken off the list."""
        longest = max((row.length for row in self.rows), default=0)
        taken: list[int] = []
        tokens = 0
        while self.waiting and len(self.rows) + len(taken) < ROWS:
            length = len(self.prompts[self.waiting[-1]])
            longest, tokens = max(longest, length), tokens + length
            room = (len(self.rows) + len(taken) + 1) * (longest + self.most)
            if (taken or self.rows) and (room > ROOM or (taken and tokens > PASS)):
                break
            taken.append(self.waiting.pop())
        return taken

    def _enter(self, entering: Sequence[int]) -> None:
        """One pass over new prompts; their keys and values move into the store, their first tokens are taken."""
        import torch

        forest = plant([self.prompts[i] for i in entering], start=self.start)
        plan = Packed(forest, before=self.root, keep=True)
        hidden = run(self.network, plan, tokens=torch.tensor(plan.tokens), positions=torch.tensor(plan.positions))
        knowns = {
            place: _cut(plan, plan.starts[place], plan.starts[place + 1])
            for place, segment in enumerate(forest.segments)
            if segment.prompt is None
        }
        leaves, old = forest.leaves, len(self.rows)
        for place in leaves:
            segment = forest.segments[place]
            chain = tuple(knowns[a] for a in forest.ancestors(place))
            length = len(segment.tokens)
            row = _Row(entering[segment.prompt or 0], length, segment.start + length, chain)
            row.held = self.held[row.prompt] if self.held else None
            self.rows.append(row)
        self._store_new(plan, leaves, old=old)
        ends = torch.tensor([plan.starts[place + 1] - 1 for place in leaves])
        self._take(hidden[ends], first=old)

    def _store_new(self, plan: Packed, leaves: Sequence[int], *, old: int) -> None:
        """Keys and values of the old rows and of the leaves that just came in, with room for the answers."""
        width, index = max(row.length for row in self.rows), plan.side_by_side(leaves)[0]
        merged = _Store([], [])
        for layer, kept in enumerate(plan.kept):
            for side, flat in enumerate(kept):
                before = (self.store.keys, self.store.values)[side]
                room = flat.new_zeros(len(self.rows), width + self.most, *flat.shape[1:])
                if old:
                    room[:old, : before[layer].shape[1]] = before[layer]
                room[old:, : index.shape[1]] = flat[index]
                (merged.keys, merged.values)[side].append(room)
        self.store = merged

    def _step(self) -> None:
        import torch

        lengths = [row.length for row in self.rows]
        own, width = torch.tensor(lengths), max(lengths) + 1
        self._make_room(width)
        at = own + torch.arange(len(lengths)) * self.store.keys[0].shape[1]
        mask = None
        if min(lengths) + 1 < width:
            hidden = torch.arange(width)[None, :] > own[:, None]
            mask = torch.zeros(hidden.shape, dtype=self.store.keys[0].dtype).masked_fill_(hidden, -torch.inf)
            mask = mask[:, None, None, :]
        plan = _Step(self.store, at, width, mask, self._reaches())
        tokens = torch.tensor([row.found[-1] for row in self.rows])
        states = run(self.network, plan, tokens=tokens, positions=torch.tensor([row.position for row in self.rows]))
        for row in self.rows:
            row.length, row.position = row.length + 1, row.position + 1
        self._take(states, first=0)

    def _make_room(self, width: int) -> None:
        """After rows left, the store is only as wide as what it holds."""
        import torch

        if self.store.keys[0].shape[1] >= width:
            return
        for side in (self.store.keys, self.store.values):
            for layer, held in enumerate(side):
                side[layer] = torch.nn.functional.pad(held, (0, 0, 0, 0, 0, self.most))

    def _reaches(self) -> tuple[_Rows, ...]:
        """Who attends to which shared run: each run of neighbours with the same one."""
        found = [_Rows(0, len(self.rows), known) for known in self.root]
        open_: dict[int, _Rows] = {}
        for place, row in enumerate(self.rows):
            for known in row.chain:
                before = open_.get(id(known))
                if before is not None and before.last != place:
                    found.append(before)
                    before = None
                open_[id(known)] = _Rows(before.first if before else place, place + 1, known)
        return (*found, *open_.values())

    def _take(self, states: Any, *, first: int) -> None:
        """The next token of the rows from `first` on, from their last hidden states."""
        rows = self.rows[first:]
        logits = self.network.get_output_embeddings()(states)
        held = [None if row.prompt in self.done else row.held for row in rows] if self.held else None
        for row, token in zip(rows, chosen_tokens(logits, held), strict=True):
            row.found.append(token)
            if row.prompt not in self.done:
                self._judge(row)

    def _judge(self, row: _Row) -> None:
        """Whether the row's answer is complete with the token that it just got."""
        rest = rest_of(row.held, room=self.most - len(row.found))
        if rest or row.found[-1] in self.stop_ids or (self.is_whole and self.is_whole(row.found)):
            self.done[row.prompt] = ([*row.found, *rest], "stop")
        elif len(row.found) >= self.most:
            self.done[row.prompt] = (list(row.found), "length")
