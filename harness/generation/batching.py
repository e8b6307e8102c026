"""Which prompts are answered together. Pure arithmetic on token ids: the plan depends on the prompts alone."""

from __future__ import annotations

from collections.abc import Sequence

Tokens = Sequence[int]

SHORTEST_PREFIX = 24
"""A shared prefix shorter than this saves less than it costs to keep apart."""


def common_prefix(prompts: Sequence[Tokens]) -> int:
    """Length of the longest prefix that all prompts share, leaving at least one token of each prompt.

    0 where there are fewer than two prompts or the prefix is too short to be worth it.
    """
    if len(prompts) < 2:
        return 0
    first, last = min(prompts, key=list), max(prompts, key=list)
    limit = min(len(p) for p in prompts) - 1
    shared = 0
    while shared < min(limit, len(first), len(last)) and first[shared] == last[shared]:
        shared += 1
    return shared if shared >= SHORTEST_PREFIX else 0


def batches_by_length(lengths: Sequence[int], *, rows: int, tokens: int) -> tuple[tuple[int, ...], ...]:
    """Group indices of similar length, longest first, so that little is padded.

    Args:
        lengths: tokens of each prompt.
        rows: most prompts in a batch.
        tokens: most tokens in a batch, padding included (a single longer prompt is a batch of its own).
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    batches: list[tuple[int, ...]] = []
    batch: list[int] = []
    for index in order:
        widest = lengths[batch[0]] if batch else lengths[index]
        if batch and (len(batch) == rows or widest * (len(batch) + 1) > tokens):
            batches.append(tuple(batch))
            batch = []
        batch.append(index)
    return (*batches, tuple(batch)) if batch else tuple(batches)


def runs_of(order: Sequence[int], *, rows: int) -> tuple[tuple[int, ...], ...]:
    """An order cut into runs of at most `rows`."""
    return tuple(tuple(order[i : i + rows]) for i in range(0, len(order), rows))
