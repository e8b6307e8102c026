"""Answers from a loaded model: what prompts share is computed once, in one of two ways.

Flat (`flat.py`): no padding, whole trees of shared beginnings, rows come and go; for networks of plain full attention
on a processor. Padded (here): batched by length, one prefix that all prompts share; for every other network.
The greedy tokens are those of plain `generate(do_sample=False)`, up to ties in the last bit of bf16.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.generation import attention, flat
from harness.generation.batching import batches_by_length, common_prefix, runs_of
from harness.generation.flat import IsWhole
from harness.generation.forest import plant
from harness.generation.held import Held, chosen_tokens, rest_of
from harness.generation.labels import LabelTrie, LabelWalk
from harness.generation.lean import lean_layers
from harness.generation.sampling import Drawn, noise_for
from harness.models.base import AT_END, Completion, Job, Message, ModelDescription, Stop
from harness.models.local import LoadedModel

ROWS = 32
TOKENS_CPU = 8_192
TOKENS_GPU = 65_536
FLAT_ROWS = 256
"""Prompts that are answered, and stored, together in the flat way; `flat.ROWS` of them at a time."""


class LocalTextModel:
    """`TextModel` over weights in this process."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded

    @property
    def description(self) -> ModelDescription:
        """Name, digest, precision, device and window."""
        return self.loaded.description

    def render(self, messages: Sequence[Message]) -> str:
        """The exact prompt text for a conversation."""
        return self.loaded.render(messages)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text."""
        return self.loaded.count_tokens(text)

    def start(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        stop: Stop = AT_END,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Job:
        """Plan the answering of these prompts; nothing is computed yet.

        Raises:
            ValueError: answers cannot be held to `stop.schema`, or the temperature is none.
        """
        if not 0 <= temperature < math.inf:
            raise ValueError(f"A temperature is a number of at least 0, not {temperature}.")
        if stop.schema:
            from harness.generation.grammar import check_schema

            check_schema(stop.schema)
        return LocalJob(self.loaded, tuple(prompts), max_new_tokens, stop, temperature=temperature, seed=seed)


@dataclass(frozen=True)
class LocalJob:
    """Prompts under way on a local model. Not slotted: the prefix's keys and values are kept once computed."""

    loaded: LoadedModel
    prompts: tuple[str, ...]
    max_new_tokens: int
    stop: Stop = AT_END
    temperature: float = 0.0
    seed: int = 0

    @cached_property
    def tokens(self) -> list[list[int]]:
        """Token ids of every prompt."""
        return [self.loaded.encode(prompt) for prompt in self.prompts]

    @cached_property
    def prefix(self) -> int:
        """Tokens that all prompts share at their start."""
        return common_prefix(self.tokens)

    @cached_property
    def flat(self) -> bool:
        """Whether the network is decoded the flat way."""
        return attention.ready(self.loaded.network)

    @cached_property
    def batches(self) -> tuple[tuple[int, ...], ...]:
        """Indices answered together."""
        rests = [t[self.prefix :] for t in self.tokens]
        if self.flat:
            return runs_of(_neighbours(rests), rows=FLAT_ROWS)
        budget = TOKENS_CPU if self.loaded.machine.device == "cpu" else TOKENS_GPU
        return batches_by_length([len(rest) for rest in rests], rows=ROWS, tokens=budget)

    @cached_property
    def _known(self) -> Any:
        first = self.tokens[0][: self.prefix]
        if not self.prefix:
            return None
        return flat.known_run(self.loaded.network, first) if self.flat else prefix_cache(self.loaded, first)

    def answer(self, batch: tuple[int, ...]) -> list[Completion]:
        """Answer these prompts.

        Returns:
            one completion a prompt, in the batch's order.
        """
        with lean_layers(self.loaded.network):
            found = self._decoded([self.tokens[i][self.prefix :] for i in batch], held=self._held(batch))
        return [
            Completion(self._decode(ids), len(self.tokens[i]), len(ids), finish)
            for i, (ids, finish) in zip(batch, found, strict=True)
        ]

    def _decoded(
        self, suffixes: Sequence[Sequence[int]], *, held: Sequence[Held] | None = None
    ) -> list[tuple[list[int], str]]:
        trie = self._trie
        # A label is never cut: an answer held to labels may be as long as the longest of them.
        most = max(self.max_new_tokens, trie.longest) if trie else self.max_new_tokens
        if self.flat:
            return flat.decode(
                self.loaded.network,
                suffixes,
                root=self._known,
                start=self.prefix,
                max_new_tokens=most,
                stop_ids=self.loaded.stop_ids,
                is_whole=self._is_whole(),
                held=held,
            )
        return greedy(
            self.loaded,
            suffixes,
            cache=self._known,
            prefix=self.prefix,
            max_new_tokens=most,
            is_whole=self._is_whole(),
            held=held,
        )

    @cached_property
    def _end(self) -> int:
        end: int | None = self.loaded.tokenizer.eos_token_id  # what tuned models were taught to end with
        return min(self.loaded.stop_ids) if end is None else end

    @cached_property
    def _trie(self) -> LabelTrie | None:
        labels = [self.loaded.encode(label) for label in self.stop.labels]
        return LabelTrie(labels, stop=self._end) if labels else None

    def _held(self, batch: Sequence[int]) -> list[Held] | None:
        """Who chooses the tokens of each answer; None where all are free and greedy."""
        made = [self._drawn(i, self._walk()) for i in batch]
        held = [one for one in made if one is not None]
        return held or None

    def _walk(self) -> Held | None:
        if self._trie:
            return LabelWalk(self._trie)
        if not self.stop.schema:
            return None
        from harness.generation.grammar import Vocabulary, schema_walk

        stops = (self._end, *sorted(self.loaded.stop_ids - {self._end}))
        width = self.loaded.network.get_output_embeddings().weight.shape[0]
        return schema_walk(self.stop.schema, Vocabulary(self.loaded.tokenizer, stops, width))

    def _drawn(self, index: int, held: Held | None) -> Held | None:
        if not self.temperature:
            return held
        return Drawn(self.temperature, noise_for(self.tokens[index], seed=self.seed), held)

    def _is_whole(self) -> IsWhole | None:
        test = self.stop.is_whole
        return None if test is None else lambda ids: test(self._decode(ids, strip=False))

    def _decode(self, ids: list[int], *, strip: bool = True) -> str:
        kept = [t for t in ids if t not in self.loaded.stop_ids]
        text: str = self.loaded.tokenizer.decode(kept, skip_special_tokens=True)
        return text.strip() if strip else text


def _neighbours(prompts: Sequence[Sequence[int]]) -> list[int]:
    """An order of prompts: those that share beginnings together where that saves a twentieth, else by length."""
    forest = plant(prompts)
    if forest.tokens <= 0.95 * sum(map(len, prompts)):
        return [s.prompt for s in forest.segments if s.prompt is not None]
    return sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))


def prefix_cache(loaded: LoadedModel, ids: Sequence[int]) -> Any:
    """Keys and values of one prefix, batch of one."""
    import torch

    with torch.inference_mode():
        row = torch.tensor([list(ids)], device=loaded.machine.device)
        return loaded.network(input_ids=row, use_cache=True, logits_to_keep=1).past_key_values


def expanded(cache: Any, rows: int) -> Any:
    """A cache of `rows` rows that starts from a one-row cache. Views until the first token is added."""
    from transformers import DynamicCache

    layers = [(layer.keys.expand(rows, -1, -1, -1), layer.values.expand(rows, -1, -1, -1)) for layer in cache.layers]
    return DynamicCache(ddp_cache_data=layers)


def greedy(
    loaded: LoadedModel,
    suffixes: Sequence[Sequence[int]],
    *,
    cache: Any,
    prefix: int,
    max_new_tokens: int,
    is_whole: IsWhole | None = None,
    held: Sequence[Held] | None = None,
) -> list[tuple[list[int], str]]:
    """Continuation of rows that share a prefix.

    Args:
        suffixes: token ids after the prefix, one row each, at least one token.
        cache: one-row cache of the prefix, or None where `prefix` is 0.
        prefix: tokens in the cache.
        is_whole: asked after each token whether the row's answer is whole already.
        held: who chooses the tokens, one a row; None: the likeliest are taken.

    Returns:
        (new token ids with the stop token, `stop` or `length`) a row.
    """
    import torch

    with torch.inference_mode():
        state = _Rows(loaded, suffixes, cache=cache, prefix=prefix)
        state.is_whole, state.held = is_whole, held
        for left in reversed(range(max_new_tokens)):
            state.step(left)
            if not state.active:
                break
        return [(ids, "stop" if row in state.done else "length") for row, ids in enumerate(state.found)]


class _Rows:
    """The rows of one batch while they grow; finished rows leave when half of the batch is done."""

    def __init__(self, loaded: LoadedModel, suffixes: Sequence[Sequence[int]], *, cache: Any, prefix: int) -> None:
        import torch
        from transformers import DynamicCache

        width, device = max(len(s) for s in suffixes), loaded.machine.device
        pads = [width - len(s) for s in suffixes]
        self.loaded, self.found = loaded, [list[int]() for _ in suffixes]
        self.active = list(range(len(suffixes)))
        self.done: set[int] = set()
        self.is_whole: IsWhole | None = None
        self.held: Sequence[Held] | None = None
        self.input = torch.tensor([[0] * p + list(s) for p, s in zip(pads, suffixes, strict=True)], device=device)
        offsets = torch.tensor(pads, device=device)[:, None]
        steps = torch.arange(width, device=device)[None, :]
        self.mask = torch.cat(
            [torch.ones(len(suffixes), prefix, dtype=torch.long, device=device), (steps >= offsets).long()], dim=1
        )
        self.positions = (prefix + steps - offsets).clamp(min=0)
        self.cache = expanded(cache, len(suffixes)) if prefix else DynamicCache()

    def step(self, left: int) -> None:
        """One token more for every active row; `left`: tokens that an answer may still have after it."""
        import torch

        out = self.loaded.network(
            input_ids=self.input,
            attention_mask=self.mask,
            position_ids=self.positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        held = [None if row in self.done else self.held[row] for row in self.active] if self.held else None
        chosen = chosen_tokens(out.logits[:, -1, :], held)
        for row, token in zip(self.active, chosen, strict=True):
            if row not in self.done:
                self._grow(row, token, left)
        self.input = torch.tensor(chosen, device=self.input.device)[:, None]
        self.positions = self.positions[:, -1:] + 1
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.active), 1)], dim=1)
        self._drop_finished()

    def _grow(self, row: int, token: int, left: int) -> None:
        found = self.found[row]
        found.append(token)
        rest = rest_of(self.held[row] if self.held else None, room=left)
        found += rest
        if rest or token in self.loaded.stop_ids or (self.is_whole and self.is_whole(found)):
            self.done.add(row)

    def _drop_finished(self) -> None:
        import torch

        keep = [place for place, row in enumerate(self.active) if row not in self.done]
        if len(keep) * 2 > len(self.active):
            return
        self.active = [self.active[place] for place in keep]
        if keep:
            chosen = torch.tensor(keep, device=self.input.device)
            self.cache.batch_select_indices(chosen)
            self.input, self.mask, self.positions = self.input[chosen], self.mask[chosen], self.positions[chosen]
