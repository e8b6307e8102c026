"""Nearest texts by cosine, with FAISS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.retrieval.embed import Embedder, Vectors

AT_ONCE = 65_536
"""Texts embedded before their vectors go into the index, so that a large corpus's vectors are not held twice."""


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """Exact inner-product search over unit vectors (cosine)."""

    embedder: Embedder
    size: int
    flat: Any
    """A `faiss.IndexFlatIP`."""

    def search(self, queries: Sequence[str], *, k: int, fresh: bool = False) -> list[list[int]]:
        """Positions of the k nearest texts of each query, nearest first (fewer where the index is smaller)."""
        if not queries:
            return []
        return self.nearest(self.embedder.encode(queries, fresh=fresh), k=k)

    def nearest(self, vectors: Vectors, *, k: int) -> list[list[int]]:
        """The same for queries that are vectors already."""
        found = self.flat.search(np.ascontiguousarray(vectors), min(k, self.size))[1]
        return [[int(i) for i in row if i >= 0] for row in found]


def build_index(embedder: Embedder, texts: Sequence[str]) -> VectorIndex:
    """Index these texts; positions in the answers are positions in `texts`."""
    import faiss

    flat: Any = None
    for start in range(0, max(1, len(texts)), AT_ONCE):
        vectors: Vectors = embedder.encode(texts[start : start + AT_ONCE])
        flat = faiss.IndexFlatIP(vectors.shape[1]) if flat is None else flat
        flat.add(np.ascontiguousarray(vectors))
    return VectorIndex(embedder, len(texts), flat)
