"""What of passages is searched, as texts, without a second copy of a large collection."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from harness.records import Passage

AT_ONCE = 16_384
"""Texts that are read, embedded or indexed at once, where they are many."""


def indexed_text(passage: Passage) -> str:
    """What of a passage is searched: its title and its text."""
    return f"{passage.title}\n{passage.text}" if passage.title else passage.text


@dataclass(frozen=True, slots=True)
class Texts(Sequence[str]):
    """One text a passage, made when it is asked for."""

    passages: Sequence[Passage]

    def __len__(self) -> int:
        return len(self.passages)

    def __iter__(self) -> Iterator[str]:
        return map(indexed_text, self.passages)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [indexed_text(passage) for passage in self.passages[index]]
        return indexed_text(self.passages[index])


def blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """All texts in order, `AT_ONCE` of them at a time."""
    for start in range(0, len(texts), AT_ONCE):
        yield texts[start : start + AT_ONCE]


def texts_digest(texts: Sequence[str]) -> str:
    """SHA-256 (hex) of all texts in order."""
    found = hashlib.sha256()
    for text in texts:
        raw = text.encode("utf-8", "surrogatepass")
        found.update(b"%d:" % len(raw) + raw)
    return found.hexdigest()
