"""Passages that share words with the query, with BM25 (the library bm25s).

Scores are Lucene's BM25 with k1 = 1.5 and b = 0.75 (Robertson and Zaragoza 2009, "The Probabilistic Relevance
Framework: BM25 and Beyond"; the variant is described by Kamphuis et al. 2020). Words are `words.words`: the library's
own pattern drops words of one letter and takes a Chinese sentence for one word. No stop words are removed, in any
language: a word that stands in most passages weighs next to nothing by its inverse document frequency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.retrieval.postings import Postings, build_postings, first_of
from harness.retrieval.words import BIGRAMS, words

MOST_HELD = 65_536
"""Texts up to which the index is held in memory; above, it lies on disk (`postings`), with the same scores."""


@dataclass(frozen=True, slots=True)
class LexicalIndex:
    """BM25 over texts."""

    size: int
    bm25: Any
    """A `bm25s.BM25`, or None over no texts."""

    def search(self, queries: Sequence[str], *, k: int) -> list[list[int]]:
        """Positions of the k best texts of each query, best first, equals in the texts' order; where fewer than k share
        a word with the query, the first others follow."""
        return [_best(self._scores(query), k) for query in queries]

    def matching(self, queries: Sequence[str], *, k: int) -> list[list[int]]:
        """The same without texts that share no word with the query."""
        scores = [self._scores(query) for query in queries]
        return [[i for i in _best(row, k) if row[i] > 0] for row in scores]

    def _scores(self, query: str) -> npt.NDArray[np.float32]:
        if self.bm25 is None:
            return np.zeros(0, dtype=np.float32)
        known = self.bm25.get_tokens_ids(words(query, width=BIGRAMS))
        found: npt.NDArray[np.float32] = self.bm25.get_scores_from_ids(known)
        return found


def build_lexical(texts: Sequence[str]) -> LexicalIndex | LargeLexicalIndex:
    """Index these texts; positions in the answers are positions in `texts`."""
    if not texts:
        return LexicalIndex(0, None)
    if len(texts) > MOST_HELD:
        return LargeLexicalIndex(build_postings(texts))
    import bm25s

    index = bm25s.BM25()
    known: dict[str, str] = {}  # each word is held once, however often it stands in the texts
    rows = [[known.setdefault(word, word) for word in words(text, width=BIGRAMS) or [""]] for text in texts]
    index.index(rows, show_progress=False)
    return LexicalIndex(len(texts), index)


def _best(scores: npt.NDArray[np.float32], k: int) -> list[int]:
    """Positions of the k largest, equals in order."""
    return [int(place) for place in first_of(scores, k)]


@dataclass(frozen=True, slots=True)
class LargeLexicalIndex:
    """The same over many texts."""

    postings: Postings

    @property
    def size(self) -> int:
        """How many texts there are."""
        return self.postings.size

    def search(self, queries: Sequence[str], *, k: int) -> list[list[int]]:
        """As `LexicalIndex.search`."""
        return self.postings.best(queries, k=k, least=-1.0)

    def matching(self, queries: Sequence[str], *, k: int) -> list[list[int]]:
        """As `LexicalIndex.matching`."""
        return self.postings.best(queries, k=k, least=0.0)
