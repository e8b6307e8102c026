"""Nearest texts by cosine, with FAISS: exact while they are few, lists on disk where they are many."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from harness.holds import Held
from harness.models.device import device_kind
from harness.retrieval.embed import Embedder, Vectors, precision
from harness.retrieval.kept import kept_index
from harness.retrieval.shards import Shards, embedded
from harness.retrieval.stores.base import VectorStore
from harness.retrieval.stores.flat import FlatStore
from harness.retrieval.stores.lists import SAMPLE, ListStore
from harness.retrieval.stores.postgres import FIRST_WIDTH, MOST_WIDTH, PostgresStore
from harness.retrieval.texts import AT_ONCE as AT_ONCE
from harness.retrieval.texts import texts_digest

MOST_EXACT = 65_536
"""Texts up to which the search is exact, and all vectors are held in memory: 100 MB of 384 numbers."""
ENOUGH_FOUND = 0.95
"""Share of the really nearest that is to be found: so many lists are searched."""
FIRST_LISTS = 8
CHECKED, CHECKED_K = 200, 10
VERSION = 2
EQUAL = 1e-5
"""Cosines that differ by no more are the same: float32 sums their products in any order."""


class Rows(Protocol):
    """Vectors by position."""

    def rows(self, positions: list[int]) -> Vectors:
        """The vectors at these positions, in their order."""


@dataclass(frozen=True, slots=True)
class Recall:
    """How much of what is really nearest an approximate index finds."""

    share: float
    """Of the `k` nearest of `queries` passages, 0..1; a passage that is as near as the last of them is one of them."""
    k: int
    queries: int
    searched: int
    """Lists searched for a query ..."""
    lists: int
    """... of so many; 0: a graph (HNSW) is searched instead, with `searched` as its ef_search."""

    @property
    def how(self) -> str:
        """What is searched, in words."""
        return f"{self.searched} of {self.lists} lists" if self.lists else f"HNSW, ef_search {self.searched}"


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """Inner-product search over unit vectors (cosine)."""

    embedder: Embedder
    size: int
    store: VectorStore
    vectors: Rows
    recall: Recall | None = None
    """None: the search is exact."""
    remark: str = ""
    """A further sentence for the report."""
    held: Held | None = field(default=None, compare=False, repr=False)

    def search(self, queries: Sequence[str], *, k: int, fresh: bool = False) -> list[list[int]]:
        """Positions of the k nearest texts of each query, nearest first (fewer where the index is smaller)."""
        if not queries:
            return []
        return self.nearest(self.embedder.encode(queries, fresh=fresh), k=k)

    def nearest(self, vectors: Vectors, *, k: int) -> list[list[int]]:
        """The same for queries that are vectors already."""
        return self.store.nearest(vectors, k=k)

    @property
    def note(self) -> str:
        """A sentence for the report; mostly empty where the search is exact."""
        one = self.recall
        if one is None:
            return self.remark
        return (
            f"The {self.size:,} passages are searched approximately ({one.how}): measured on "
            f"{one.queries} of them, {one.share:.0%} of the {one.k} really nearest are found."
        )


def build_index(embedder: Embedder, texts: Sequence[str], *, vector_store: str | None = None) -> VectorIndex:
    """Index these texts; positions in the answers are positions in `texts`.

    `vector_store`: `qdrant:` or `pgvector:` and the address of a server that shall hold and search them; None: they are
    searched here.
    """
    if vector_store is not None:
        return _elsewhere(embedder, texts, vector_store)
    if len(texts) > MOST_EXACT:
        return _large(embedder, texts)
    flat = FlatStore()
    if texts:
        flat.add(embedder.encode(texts[:]))
    return VectorIndex(embedder, len(texts), flat, flat)


def _elsewhere(embedder: Embedder, texts: Sequence[str], vector_store: str) -> VectorIndex:
    kind, _, place = vector_store.partition(":")
    if kind == "pgvector":
        return _in_postgres(embedder, texts, place)
    from harness.retrieval.stores.qdrant import QdrantStore

    store, shards = QdrantStore(place), embedded(embedder, texts)
    for vectors in shards:
        store.add(vectors)
    return VectorIndex(embedder, shards.size, store, shards)


# In PostgreSQL


class _Whole(msgspec.Struct):
    """What is kept with a table that holds all vectors."""

    size: int
    recall: Recall | None
    remark: str = ""


def _in_postgres(embedder: Embedder, texts: Sequence[str], place: str) -> VectorIndex:
    """The table is named by texts and embedder, and filled by the first who wants it."""
    device = device_kind()
    key = f"{VERSION} {embedder.digest} {device} {precision(device)} {texts_digest(texts)}"
    store = PostgresStore(place, hashlib.sha256(key.encode()).hexdigest()[:32])  # reached before hours of embedding
    shards = embedded(embedder, texts)
    whole = _kept_whole(store, shards) or _filled(store, shards)
    store.search_width(whole.recall.searched if whole.recall else 0)
    return VectorIndex(embedder, shards.size, store, shards, whole.recall, whole.remark)


def _kept_whole(store: PostgresStore, shards: Shards) -> _Whole | None:
    with contextlib.suppress(msgspec.MsgspecError):
        whole = msgspec.json.decode(store.about, type=_Whole)
        if store.size == whole.size == shards.size:
            return whole
    return None


def _filled(store: PostgresStore, shards: Shards) -> _Whole:
    start = 0
    for vectors in shards:
        if store.size < start + len(vectors):
            store.add(vectors[max(0, store.size - start) :])
        start += len(vectors)
    whole = _Whole(shards.size, None)
    if shards.size > MOST_EXACT:
        fault = store.graph()
        whole.recall = None if fault else settled_graph(store, shards)
        whole.remark = (
            f"The {shards.size:,} passages are searched exactly, one after the other: {fault}." if fault else ""
        )
    store.finish(msgspec.json.encode(whole).decode())
    return whole


# Many texts


def _large(embedder: Embedder, texts: Sequence[str]) -> VectorIndex:
    shards = embedded(embedder, texts)
    names = "".join(path.stem for path in shards.paths)
    key = hashlib.sha256(f"{VERSION} {shards.paths[0].parent.name} {names}".encode()).hexdigest()
    what = f"The index of {shards.size:,} passages"
    folder, recall, held = kept_index(key[:32], Recall, what=what, build=partial(_built, shards))
    store = ListStore(folder)
    store.search_lists(recall.searched)
    return VectorIndex(embedder, shards.size, store, shards, recall, held=held)


def _built(shards: Shards, home: Path) -> Recall:
    store = ListStore(home, sample(shards))
    for vectors in shards:
        store.add(vectors)
    store.close()
    return settled(store, shards)


def sample(shards: Shards) -> Vectors:
    """Vectors drawn with a fixed seed, as many as centres are found on, in their order."""
    many = min(SAMPLE, shards.size)
    drawn = np.sort(np.random.default_rng(0).choice(shards.size, many, replace=False))
    found: Vectors = np.zeros((many, shards.dimension), dtype=np.float32)
    start = at = 0
    for vectors in shards:
        own = drawn[(drawn >= start) & (drawn < start + len(vectors))] - start
        found[at : at + len(own)] = vectors[own]
        start, at = start + len(vectors), at + len(own)
    return found


def settled(store: ListStore, shards: Shards) -> Recall:
    """Search more and more lists until enough of what an exact search finds is found."""
    return _widened(store, shards, store.search_lists, (FIRST_LISTS, store.lists), lists=store.lists)


def settled_graph(store: PostgresStore, shards: Shards) -> Recall:
    """Search with more and more candidates until enough of what an exact search finds is found."""
    return _widened(store, shards, store.search_width, (FIRST_WIDTH, MOST_WIDTH), lists=0)


def _widened(
    store: VectorStore, shards: Shards, widen: Callable[[int], None], width: tuple[int, int], *, lists: int
) -> Recall:
    """The first and the largest width are given; it is doubled, and what is found measured on passages as queries.

    A passage finds itself; it is left out on both sides.
    """
    many, (wide, widest) = min(CHECKED, shards.size), width
    asked = [int(place) for place in np.sort(np.random.default_rng(1).choice(shards.size, many, replace=False))]
    queries = shards.rows(asked)
    wanted = [_others(own, row) for own, row in zip(asked, exact(shards, queries, k=CHECKED_K + 1), strict=True)]
    while True:
        widen(wide)
        found = store.nearest(queries, k=CHECKED_K + 1)
        given = [_others(own, row) for own, row in zip(asked, found, strict=True)]
        share = _recall(shards, queries, given=given, wanted=wanted)
        if share >= ENOUGH_FOUND or wide >= widest:
            return Recall(share, CHECKED_K, many, min(wide, widest), lists)
        wide *= 2


def _others(own: int, row: Sequence[int]) -> list[int]:
    return [place for place in row if place != own][:CHECKED_K]


def _recall(
    shards: Shards, queries: Vectors, *, given: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]
) -> float:
    """Mean share of what was found that is as near as the last of what was wanted.

    By nearness, not by position: of many passages that are alike any may be found.
    """
    rows = zip(_nearness(shards, queries, given), _nearness(shards, queries, wanted), strict=True)
    return float(np.mean([np.sum(found >= best.min() - EQUAL) / len(best) for found, best in rows]))


def _nearness(shards: Shards, queries: Vectors, rows: Sequence[Sequence[int]]) -> list[Vectors]:
    """The exact cosines of each query with its row of positions."""
    places = sorted({place for row in rows for place in row})
    vectors, at = shards.rows(places), {place: n for n, place in enumerate(places)}
    return [vectors[[at[place] for place in row]] @ query for query, row in zip(queries, rows, strict=True)]


def exact(shards: Shards, queries: Vectors, *, k: int) -> list[list[int]]:
    """The k nearest of each query among all vectors, read shard by shard."""
    scores = np.full((len(queries), 0), 0.0, dtype=np.float32)
    places = np.zeros((len(queries), 0), dtype=np.int64)
    start = 0
    for vectors in shards:
        here = np.broadcast_to(np.arange(start, start + len(vectors)), (len(queries), len(vectors)))
        scores = np.concatenate([scores, queries @ vectors.T], axis=1)
        places = np.concatenate([places, here], axis=1)
        best = np.argpartition(-scores, min(k, scores.shape[1]) - 1, axis=1)[:, :k]
        scores, places = np.take_along_axis(scores, best, axis=1), np.take_along_axis(places, best, axis=1)
        start += len(vectors)
    order = np.argsort(-scores, axis=1, kind="stable")
    return [[int(place) for place in row] for row in np.take_along_axis(places, order, axis=1)]
