"""Approximate search over many vectors, on disk: FAISS's inverted lists (IVF) of vectors in eight bits a number.

IVF: Sivic and Zisserman 2003, "Video Google"; Jegou, Douze and Schmid 2011, "Product quantization for nearest neighbor
search". Each list holds the vectors nearest to one centre, and the lists of the nearest centres are searched. The lists
lie in one file that is mapped: what is not searched takes no memory, and what was is given back when it is needed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from harness.retrieval.stores.base import Vectors

LISTS, SAMPLE = 1_024, 40_960
"""Most lists, and most vectors that their centres are found on."""
EMPTY, INDEX, DATA = "empty.faiss", "index.faiss", "lists.data"


class ListStore:
    """Vectors on disk in a folder; `add` collects blocks, and the first search (or `close`) merges them."""

    def __init__(self, folder: Path, sample: Vectors | None = None) -> None:
        """Open what is in the folder, or begin a new one with centres found on this sample."""
        import faiss

        self._folder, self._size = folder, 0
        self._blocks: list[Path] = []
        self._index: Any
        if sample is None:
            self._index = faiss.read_index(str(folder / INDEX), faiss.IO_FLAG_ONDISK_SAME_DIR)
            self._size = self._index.ntotal
        else:
            self._index = _trained(sample)
            faiss.write_index(self._index, str(folder / EMPTY))

    @property
    def lists(self) -> int:
        """How many lists there are."""
        return int(self._index.nlist)

    def search_lists(self, count: int) -> None:
        """Search so many lists for each query."""
        self._index.nprobe = min(count, self.lists)

    def add(self, vectors: Vectors) -> None:
        """Append these, as a block of its own on disk."""
        import faiss

        block = self._empty()
        places = np.arange(self._size, self._size + len(vectors), dtype=np.int64)
        block.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), places)
        self._blocks.append(self._folder / f"block-{len(self._blocks)}.faiss")
        faiss.write_index(block, str(self._blocks[-1]))
        self._size += len(vectors)

    def close(self) -> None:
        """Merge the blocks into one file."""
        if not self._blocks:
            return
        import faiss
        from faiss.contrib.ondisk import merge_ondisk

        probed = self._index.nprobe
        if self._index.ntotal:  # what was merged before becomes a block
            before = self._folder / "before.faiss"
            faiss.write_index(_in_memory(self._folder), str(before))
            self._blocks.insert(0, before)
        with tempfile.TemporaryDirectory(dir=self._folder) as place:
            self._index = self._empty()
            merge_ondisk(self._index, [str(path) for path in self._blocks], str(Path(place) / DATA))
            faiss.write_index(self._index, str(Path(place) / INDEX))
            for name in (DATA, INDEX):
                (Path(place) / name).replace(self._folder / name)
        for path in self._blocks:
            path.unlink()
        self._blocks = []
        self._index = faiss.read_index(str(self._folder / INDEX), faiss.IO_FLAG_ONDISK_SAME_DIR)
        self._index.nprobe = probed

    def _empty(self) -> Any:
        """An index of no vectors with the same centres."""
        import faiss

        return faiss.read_index(str(self._folder / EMPTY))

    def nearest(self, vectors: Vectors, *, k: int) -> list[list[int]]:
        """Positions of the k nearest of each that the searched lists hold, nearest first."""
        self.close()
        if not self._size or not len(vectors):
            return [[] for _ in vectors]
        found = self._index.search(np.ascontiguousarray(vectors, dtype=np.float32), min(k, self._size))[1]
        return [[int(place) for place in row if place >= 0] for row in found]


def _trained(sample: Vectors) -> Any:
    """An empty index with its centres; on GPUs, where this FAISS can use them (not tested: none was there)."""
    import faiss

    lists = int(np.clip(np.sqrt(len(sample)) * 4, 1, min(LISTS, max(1, len(sample) // 39))))
    flat: Any = faiss.IndexFlatIP(sample.shape[1])
    index = faiss.IndexIVFScalarQuantizer(
        flat, sample.shape[1], lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.own_fields = True
    flat.this.disown()
    index.cp.seed, index.cp.niter = 0, 10
    if hasattr(faiss, "index_cpu_to_all_gpus") and faiss.get_num_gpus():
        index.clustering_index = faiss.index_cpu_to_all_gpus(faiss.IndexFlatIP(sample.shape[1]))
    index.train(np.ascontiguousarray(sample, dtype=np.float32))
    return index


def _in_memory(folder: Path) -> Any:
    import faiss

    found: Any = faiss.read_index(str(folder / INDEX), faiss.IO_FLAG_ONDISK_SAME_DIR)
    lists: Any = faiss.ArrayInvertedLists(found.nlist, found.code_size)
    lists.merge_from(found.invlists, 0)
    found.replace_invlists(lists, True)
    lists.this.disown()
    return found
