"""How documents are searched: one small record, so that it can be chosen, named and kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from harness.retrieval.chunks import WORDS

Way = Literal["dense", "bm25", "hybrid"]
WAYS: tuple[Way, ...] = get_args(Way)
"""Simplest first."""

BUDGET = 300
"""Words of passages that sizes are compared at: two passages of 150 words."""

MOST_DOCUMENTS = 400
"""Documents among which sizes are compared: each size is embedded anew, which takes minutes for a few thousand."""


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """One way of searching the documents."""

    way: Way = "dense"
    words: int = WORDS
    """Longest passage in words."""
    reranked: bool = False
    """The first candidates are looked at once more; see `rerank`."""

    @property
    def name(self) -> str:
        """The settings in words: `hybrid, 80 words, reranked`."""
        return f"{self.way}, {self.words} words" + (", reranked" if self.reranked else "")

    def count(self, budget: int = BUDGET) -> int:
        """Passages that make up so many words, at least one."""
        return max(1, budget // self.words)


DEFAULT = RetrievalSettings()
