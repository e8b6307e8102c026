"""Exact search with FAISS, all vectors in memory: what is used while they are few."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.retrieval.stores.base import Vectors


class FlatStore:
    """Exact inner-product search over unit vectors (cosine)."""

    def __init__(self) -> None:
        self._index: Any = None

    def add(self, vectors: Vectors) -> None:
        """Append these."""
        import faiss

        if self._index is None:
            self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def nearest(self, vectors: Vectors, *, k: int) -> list[list[int]]:
        """Positions of the k nearest of each; nearest first."""
        if self._index is None or not len(vectors):
            return [[] for _ in vectors]
        found = self._index.search(np.ascontiguousarray(vectors, dtype=np.float32), min(k, self._index.ntotal))[1]
        return [[int(place) for place in row if place >= 0] for row in found]

    def rows(self, positions: list[int]) -> Vectors:
        """The vectors at these positions."""
        found: Vectors = np.stack([self._index.reconstruct(place) for place in positions])
        return found
