"""Passages in a Qdrant collection: a server's, or one in memory (`qdrant-client`'s local mode).

The search is exact (`exact=True`, https://qdrant.tech/documentation/concepts/search/), so it finds what FAISS does.
"""

from __future__ import annotations

import contextlib
import os
import uuid
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from harness.errors import MissingModel, UserError
from harness.retrieval.stores.base import Vectors

MEMORY = ":memory:"
AT_ONCE = 1_000
"""Most vectors in one request."""
MOST_BYTES = 16 * 2**20
"""Most bytes of one request: half of what a server takes (`max_request_size_mb`, 32 where nobody changed it)."""
NUMBER_BYTES, POINT_BYTES = 26, 100
"""Most bytes that a number takes as text (sign, 17 digits, exponent, comma), and what stands around a vector."""


class QdrantStore:
    """A collection of its own, which is deleted when the store is closed or no longer used."""

    def __init__(self, url: str = MEMORY, *, key_variable: str = "QDRANT_API_KEY") -> None:
        """Connect.

        Args:
            url: a server's address, or `:memory:` for none.
            key_variable: environment variable with the server's key, where it needs one.

        Raises:
            MissingModel: `qdrant-client` is not installed.
            UserError: the server does not answer.
        """
        self._client = _connected(url, os.environ.get(key_variable) or None)
        self._url, self._size, self._name = url, 0, f"bakeoff-{uuid.uuid4().hex}"
        self._end = weakref.finalize(self, _deleted, self._client, self._name)

    def add(self, vectors: Vectors) -> None:
        """Append these."""
        from qdrant_client import models

        if not self._size:
            size = models.VectorParams(size=vectors.shape[1], distance=models.Distance.DOT)
            self._asked(lambda: self._client.create_collection(self._name, vectors_config=size))
        for rows in _requests(vectors):
            places = list(range(self._size, self._size + len(rows)))
            batch = models.Batch(ids=places, vectors=rows.astype(np.float32).tolist())
            self._asked(lambda batch=batch: self._client.upsert(self._name, points=batch, wait=True))
            self._size += len(rows)

    def nearest(self, vectors: Vectors, *, k: int) -> list[list[int]]:
        """Positions of the k nearest of each, nearest first; equals in their order."""
        from qdrant_client import models

        if not self._size:
            return [[] for _ in vectors]
        exact = None if self._url == MEMORY else models.SearchParams(exact=True)  # in memory it always is
        found = []
        for rows in _requests(vectors):
            part = [models.QueryRequest(query=row.tolist(), limit=min(k, self._size), params=exact) for row in rows]
            found += self._asked(lambda part=part: self._client.query_batch_points(self._name, requests=part))
        return [[int(one.id) for one in sorted(row.points, key=lambda p: (-p.score, p.id))] for row in found]

    def close(self) -> None:
        """Delete the collection."""
        self._end()

    def _asked(self, call: Any) -> Any:
        from qdrant_client.http.exceptions import ApiException

        try:
            return call()
        except (ApiException, OSError, RuntimeError) as error:
            raise UserError(f"The vector store at {self._url} failed: {_first_line(error)}") from error


def _requests(vectors: Vectors) -> Iterator[Vectors]:
    """The vectors in order, as many at a time as one request may hold."""
    size = max(1, min(AT_ONCE, MOST_BYTES // (vectors.shape[1] * NUMBER_BYTES + POINT_BYTES)))
    for start in range(0, len(vectors), size):
        yield vectors[start : start + size]


def _connected(url: str, key: str | None) -> Any:
    try:
        from qdrant_client import QdrantClient
    except ImportError as error:
        raise MissingModel(
            "A Qdrant store needs the package qdrant-client: pip install 'bakeoff-advisor[qdrant]'."
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a key over plain http on loopback, and of versions that cannot be asked
        if url == MEMORY:
            return QdrantClient(url)
        return QdrantClient(url=url, api_key=key, timeout=30, check_compatibility=False)


def _deleted(client: Any, name: str) -> None:
    from qdrant_client.http.exceptions import ApiException

    with contextlib.suppress(ApiException, OSError, RuntimeError):  # a server that is gone keeps it
        client.delete_collection(name)
        client.close()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]
