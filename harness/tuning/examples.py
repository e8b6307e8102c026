"""Training examples as token rows: what the model reads, and which tokens it is graded on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.generation.batching import common_prefix


class TrainingText(NamedTuple):
    """A rendered prompt and the answer that should follow it."""

    prompt: str
    answer: str


class Row(NamedTuple):
    """One example as token ids; the loss counts the answer only."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    """Ends with the stop token."""


@dataclass(frozen=True, slots=True)
class RowSet:
    """Rows with the prefix that all their prompts share cut off and kept once."""

    prefix: tuple[int, ...]
    rows: tuple[Row, ...]

    @property
    def tokens(self) -> int:
        """Tokens of one pass over the rows, each with its whole prompt."""
        return sum(len(self.prefix) + len(r.prompt) + len(r.answer) for r in self.rows)


def row_set(rows: Sequence[Row], *, prefix: Sequence[int] | None = None) -> RowSet:
    """Cut the shared prefix off.

    Args:
        prefix: cut this one instead of the rows' own (dev rows share the training rows' prefix); ignored for a row
            set in which a prompt does not start with it.
    """
    shared = len(prefix) if prefix is not None else common_prefix([r.prompt for r in rows])
    kept = tuple(prefix) if prefix is not None else tuple(rows[0].prompt[:shared]) if rows else ()
    if any(r.prompt[:shared] != kept or len(r.prompt) == shared for r in rows):
        return RowSet((), tuple(rows))
    return RowSet(kept, tuple(Row(r.prompt[shared:], r.answer) for r in rows))


def shuffled_batches(rows: Sequence[Row], *, size: int, seed: int) -> list[list[int]]:
    """A seeded order in batches of `size`; within runs of 8 batches, rows of similar length stand together."""
    order = list(range(len(rows)))
    rng = random.Random(seed)
    rng.shuffle(order)
    span = size * 8
    batches: list[list[int]] = []
    for start in range(0, len(order), span):
        run = sorted(order[start : start + span], key=lambda i: len(rows[i].prompt) + len(rows[i].answer))
        batches += [run[i : i + size] for i in range(0, len(run), size)]
    rng.shuffle(batches)
    return batches
