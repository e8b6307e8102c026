"""Answers held to a set of labels: a trie of their tokens says what may come next.

At each step only tokens that go on to a label may be chosen, and a label that can no longer be another one is complete
without asking the model. The choice is greedy, token by token, as constrained decoding has it (Willard and Louf 2023,
arXiv 2307.09702); it is what free greedy decoding gives wherever that gives a label's own tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class LabelTrie:
    """The labels as token sequences, each ended by the stop token."""

    def __init__(self, labels: Sequence[Sequence[int]], *, stop: int) -> None:
        following: dict[tuple[int, ...], dict[int, None]] = {}
        for label in labels:
            whole = (*label, stop)
            for place, token in enumerate(whole):
                following.setdefault(whole[:place], {})[token] = None
        self._next = {start: tuple(tokens) for start, tokens in following.items()}
        self.longest = max(map(len, labels), default=0) + 1
        """Tokens of the longest label, the stop token included."""

    def allowed(self, found: Sequence[int]) -> tuple[int, ...]:
        """Tokens that may follow; empty where a label is complete."""
        return self._next.get(tuple(found), ())

    def rest(self, found: Sequence[int]) -> tuple[int, ...]:
        """What is still to come where only one label is left, the stop token last; else empty."""
        tokens = list(found)
        while len(options := self.allowed(tokens)) == 1:
            tokens.append(options[0])
        return () if options else tuple(tokens[len(found) :])

    def choose(self, logits: Any, found: Sequence[int]) -> int:
        """The likeliest allowed token; `logits` over the whole vocabulary."""
        import torch

        options = self.allowed(found)
        return options[int(logits[torch.tensor(options, device=logits.device)].argmax())]


def chosen_tokens(logits: Any, found: Sequence[Sequence[int]], trie: LabelTrie | None) -> list[int]:
    """The next token of each row, (rows, vocabulary); `found`: tokens of each row so far."""
    if trie is None:
        tokens: list[int] = logits.max(dim=-1).indices.tolist()  # several times faster than argmax
        return tokens
    return [trie.choose(row, so_far) if trie.allowed(so_far) else 0 for row, so_far in zip(logits, found, strict=True)]
