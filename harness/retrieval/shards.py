"""The vectors of a large collection, in shards on disk: made once, one after the other, and read one at a time.

A shard is named by its texts and its embedder, so a run that was killed embeds only what is missing, and a collection
that has grown embeds only what came after its last full shard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.errors import UserError
from harness.holds import Held
from harness.retrieval.embed import Embedder, Vectors, cached_file, vectors_folder
from harness.retrieval.texts import AT_ONCE, blocks


@dataclass(frozen=True, slots=True)
class Shards:
    """Unit vectors of all texts; float16 on disk, float32 when read."""

    paths: tuple[Path, ...]
    size: int
    dimension: int
    holds: tuple[Held, ...] = field(default=(), compare=False, repr=False)

    def __iter__(self) -> Iterator[Vectors]:
        """The shards in order; what is read is mapped only until the next one is."""
        for path in self.paths:
            yield np.load(path, mmap_mode="r").astype(np.float32)

    def rows(self, positions: Sequence[int]) -> Vectors:
        """The vectors at these positions, in their order."""
        found = np.zeros((len(positions), self.dimension), dtype=np.float32)
        for number in sorted({place // AT_ONCE for place in positions}):
            shard = np.load(self.paths[number], mmap_mode="r")
            here = [i for i, place in enumerate(positions) if place // AT_ONCE == number]
            found[here] = shard[[positions[i] % AT_ONCE for i in here]]
        return found


def embedded(embedder: Embedder, texts: Sequence[str]) -> Shards:
    """Every text's vector, those that are missing computed.

    Raises:
        UserError: the cache cannot hold them.
    """
    folder = vectors_folder(embedder.digest, kind="-shards")
    holds: list[Held] = []
    dimension = 1
    for block in blocks(texts):
        held = cached_file(lambda new: embedder.encode(new, fresh=True), block, folder=folder, dtype=np.float16)
        if held is None:
            raise UserError(
                f"The vectors of {len(texts):,} passages cannot be kept in {folder}. Make room there, or name another "
                "folder with BAKEOFF_CACHE."
            )
        holds.append(held)
        dimension = int(np.load(held.path, mmap_mode="r").shape[1])
    return Shards(tuple(held.path for held in holds), len(texts), dimension, tuple(holds))
