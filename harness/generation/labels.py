"""Answers held to a set of labels: a trie of their tokens says what may come next.

At each step only tokens that go on to a label may be chosen, and a label that can no longer be another one is complete
without asking the model. The choice is greedy, token by token, as constrained decoding has it (Willard and Louf 2023,
arXiv 2307.09702); it is what free greedy decoding gives wherever that gives a label's own tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class LabelWalk:
    """One answer on its way through the trie (`held.Held`)."""

    trie: LabelTrie
    found: list[int] = field(default_factory=list)

    def choose(self, scores: Any) -> int:
        """The likeliest token that goes on to a label."""
        import torch

        options = self.trie.allowed(self.found)
        token = options[int(scores[torch.tensor(options)].argmax())]
        self.found.append(token)
        return token

    def rest(self) -> tuple[int, ...]:
        """What is left of the only label that it can be."""
        return self.trie.rest(self.found)
