"""Who chooses the next token: the one thing that both ways of decoding ask of labels, schemas and sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Held(Protocol):
    """One answer under way. It sees each of its tokens once, when it chooses it."""

    def choose(self, scores: Any) -> int:
        """The best-scored token of those that may follow, which the answer then has; `scores`: (vocabulary,)."""

    def rest(self) -> tuple[int, ...]:
        """What is still to come where nothing is left to choose, the stop token last; else empty."""


def chosen_tokens(logits: Any, held: Sequence[Held | None] | None) -> list[int]:
    """The next token of each row, (rows, vocabulary).

    Args:
        held: who chooses, a row; None in it: the row's answer is over (its token is 0). None: all are free and greedy.
    """
    if held is None:
        tokens: list[int] = logits.max(dim=-1).indices.tolist()  # several times faster than argmax
        return tokens
    return [one.choose(row) if one else 0 for row, one in zip(logits.cpu(), held, strict=True)]


def rest_of(held: Held | None, *, room: int) -> tuple[int, ...]:
    """What must follow, where it still fits."""
    rest = held.rest() if held else ()
    return rest if len(rest) <= room else ()
