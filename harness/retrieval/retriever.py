"""Passages, searched in whichever way was settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.records import Passage
from harness.retrieval.embed import Embedder
from harness.retrieval.hybrid import DEPTH, fused
from harness.retrieval.index import VectorIndex, build_index
from harness.retrieval.lexical import LargeLexicalIndex, LexicalIndex, build_lexical
from harness.retrieval.rerank import (
    CANDIDATES,
    Asked,
    CrossEncoderReranker,
    LateSentenceReranker,
    Reranker,
    build_sentence_reranker,
    reranked,
)
from harness.retrieval.settings import DEFAULT, RetrievalSettings
from harness.retrieval.texts import Texts
from harness.retrieval.texts import indexed_text as indexed_text


@dataclass(frozen=True)
class Shelf:
    """Passages with their indexes, each built when first wanted; not slotted for that reason."""

    passages: Sequence[Passage]
    embedder: Embedder
    cross_encoder: str | None = None
    """Folder or id of the model that reranks; None: the built-in way."""
    vector_store: str | None = None
    """`qdrant:` or `pgvector:` and an address; None: vectors are searched here."""

    @cached_property
    def texts(self) -> Sequence[str]:
        """What is searched, one text a passage."""
        made = Texts(self.passages)
        return made[:] if isinstance(self.passages, tuple) else made

    @cached_property
    def dense(self) -> VectorIndex:
        """Nearest by cosine."""
        return build_index(self.embedder, self.texts, vector_store=self.vector_store)

    @cached_property
    def lexical(self) -> LexicalIndex | LargeLexicalIndex:
        """Best by shared words."""
        return build_lexical(self.texts)

    @cached_property
    def reranker(self) -> Reranker:
        """What looks at the first candidates once more."""
        if self.cross_encoder is not None:
            return CrossEncoderReranker(self.cross_encoder, self.texts)
        if not isinstance(self.passages, tuple):
            return LateSentenceReranker(self.dense, self.passages)
        return build_sentence_reranker(self.dense, [passage.text for passage in self.passages])


@dataclass(frozen=True, slots=True)
class Retriever:
    """A search over a shelf of passages."""

    shelf: Shelf
    settings: RetrievalSettings = DEFAULT

    def search(self, queries: Sequence[str], *, k: int, fresh: bool = False) -> list[list[int]]:
        """Positions of the k best passages of each query, best first (all, where there are fewer).

        `fresh` embeds the queries anew, so that the real work can be timed; texts are indexed once either way.
        """
        if not queries or not self.shelf.passages:
            return [[] for _ in queries]
        asked = Asked(tuple(queries), self.shelf.embedder, fresh)
        if not self.settings.reranked:
            return self._found(asked, k)
        found = self._found(asked, max(k, CANDIDATES))
        return [row[:k] for row in reranked(self.shelf.reranker, asked, found)]

    @property
    def note(self) -> str:
        """How much an approximate search finds, in a sentence; empty where the search is exact."""
        return self.shelf.dense.note if self.settings.way != "bm25" and self.shelf.passages else ""

    def _found(self, asked: Asked, k: int) -> list[list[int]]:
        if self.settings.way == "bm25":
            return self.shelf.lexical.search(asked.texts, k=k)
        if self.settings.way == "dense":
            return self.shelf.dense.nearest(asked.vectors, k=k)
        depth = max(k, DEPTH)
        nearest = self.shelf.dense.nearest(asked.vectors, k=depth)
        matching = self.shelf.lexical.matching(asked.texts, k=depth)
        return [fused(both)[:k] for both in zip(nearest, matching, strict=True)]
