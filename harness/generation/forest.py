"""Prompts as a forest of shared token runs: what several prompts have in common is one segment, computed once.

Pure arithmetic on token ids. The order of the segments is depth first, so that whatever attends to a segment stands in
one run behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

Tokens = Sequence[int]

WORTH = 128
"""Tokens that sharing a run must save: attending to one more segment costs about as much as computing these."""


class Segment(NamedTuple):
    """A run of tokens that follows on its parent's."""

    tokens: tuple[int, ...]
    start: int
    """Position of its first token in each prompt that goes through it."""
    parent: int | None
    """Index of an earlier segment; None: it opens the prompt."""
    prompt: int | None
    """Index of the prompt that ends here; None for a shared run."""


@dataclass(frozen=True, slots=True)
class Forest:
    """All tokens of some prompts, each shared run once."""

    segments: tuple[Segment, ...]

    @property
    def tokens(self) -> int:
        """Tokens to be computed."""
        return sum(len(s.tokens) for s in self.segments)

    @property
    def leaves(self) -> list[int]:
        """Segments that end a prompt, in order."""
        return [place for place, s in enumerate(self.segments) if s.prompt is not None]

    def ancestors(self, place: int) -> tuple[int, ...]:
        """Segments before this one on the way from the prompt's start, the first one first."""
        found: list[int] = []
        parent = self.segments[place].parent
        while parent is not None:
            found.append(parent)
            parent = self.segments[parent].parent
        return tuple(reversed(found))


def plant(prompts: Sequence[Tokens], *, start: int = 0, worth: int = WORTH) -> Forest:
    """The forest of these prompts; every prompt keeps at least its last token to itself.

    Args:
        prompts: token ids, at least one each.
        start: position of their first tokens (after what all of them share and is computed already).
        worth: tokens that a shared run must save.
    """
    segments: list[Segment] = []
    order = sorted(range(len(prompts)), key=lambda i: (tuple(prompts[i]), i))
    waiting: list[tuple[list[int], int, int | None]] = [(order, 0, None)] if order else []
    while waiting:
        group, done, parent = waiting.pop()
        if len(group) == 1:
            segments.append(Segment(tuple(prompts[group[0]][done:]), start + done, parent, group[0]))
            continue
        shared = _common(prompts, group, done)
        if (shared - done) * (len(group) - 1) >= worth:
            segments.append(Segment(tuple(prompts[group[0]][done:shared]), start + done, parent, None))
            done, parent = shared, len(segments) - 1
        parts = _parted(prompts, group, shared)
        waiting += [(part, done, parent) for part in reversed(parts)]
    return Forest(tuple(segments))


def _common(prompts: Sequence[Tokens], group: Sequence[int], done: int) -> int:
    """Length of what a sorted group has in common, short of each prompt's last token."""
    first, last = prompts[group[0]], prompts[group[-1]]
    limit = min(len(prompts[i]) for i in group) - 1
    while done < limit and first[done] == last[done]:
        done += 1
    return done


def _parted(prompts: Sequence[Tokens], group: Sequence[int], at: int) -> list[list[int]]:
    """A sorted group split by the token at a place; each alone where that splits nothing."""
    parts: list[list[int]] = []
    for index in group:
        if parts and prompts[parts[-1][0]][at] == prompts[index][at]:
            parts[-1].append(index)
        else:
            parts.append([index])
    return parts if len(parts) > 1 else [[index] for index in group]
