"""BM25 over many texts, on disk: the scores that `lexical` gives, from postings in blocks that are mapped.

The texts are read once. Their words go to disk as numbers, and with the counts over all texts each block of texts gets
its postings: for each word the texts that hold it, with the score that it adds there. What is held in memory is one
block, eight bytes a text while it is built, and the vocabulary.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.holds import Held
from harness.retrieval.kept import kept_index
from harness.retrieval.texts import AT_ONCE, blocks, texts_digest
from harness.retrieval.words import BIGRAMS, words

K1, B = 1.5, 0.75
VERSION = 1
PARTS = ("words", "starts", "rows", "scores")

Numbers = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _About:
    size: int
    blocks: int
    vocabulary: list[str]


@dataclass(frozen=True, slots=True)
class Postings:
    """BM25 over texts, in a folder."""

    folder: Path
    size: int
    blocks: int
    known: dict[str, int]
    held: Held | None = field(default=None, compare=False, repr=False)

    def best(self, queries: Sequence[str], *, k: int, least: float) -> list[list[int]]:
        """Positions of the k best texts of each query, best first, equals in the texts' order; of those whose score is
        above `least`."""
        asked = [[self.known[w] for w in words(q, width=BIGRAMS) if w in self.known] for q in queries]
        found: list[tuple[Scores, npt.NDArray[np.int64]]] = [
            (np.zeros(0, np.float32), np.zeros(0, np.int64)) for _ in queries
        ]
        for number in range(self.blocks):
            block = _Block.open(self.folder, number)
            start = number * AT_ONCE
            for at, ids in enumerate(asked):
                scores = block.scores_of(ids, size=min(AT_ONCE, self.size - start))
                near = first_of(scores, k)
                near = near[scores[near] > least]
                merged = np.concatenate([found[at][0], scores[near]]), np.concatenate([found[at][1], near + start])
                order = np.argsort(-merged[0], kind="stable")[:k]
                found[at] = merged[0][order], merged[1][order]
        return [[int(place) for place in places] for _, places in found]


def first_of(scores: Scores, k: int) -> npt.NDArray[np.int64]:
    """Positions of the k largest, equals in order."""
    k = min(k, len(scores))
    if k == 0:
        return np.zeros(0, np.int64)
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    near = np.flatnonzero(scores >= least)
    return near[np.argsort(-scores[near], kind="stable")][:k]


@dataclass(frozen=True, slots=True)
class _Block:
    """Postings of some texts: word i's texts and scores stand from starts[i] up to starts[i + 1]."""

    words: Numbers
    starts: npt.NDArray[np.int64]
    rows: Numbers
    scores: Scores

    @classmethod
    def open(cls, folder: Path, number: int) -> _Block:
        return cls(*(np.load(folder / f"{number}-{part}.npy", mmap_mode="r") for part in PARTS))

    def scores_of(self, ids: Sequence[int], *, size: int) -> Scores:
        found = np.zeros(size, dtype=np.float32)
        for word in ids:
            at = int(np.searchsorted(self.words, word))
            if at < len(self.words) and self.words[at] == word:
                part = slice(int(self.starts[at]), int(self.starts[at + 1]))
                found[self.rows[part]] += self.scores[part]
        return found


def build_postings(texts: Sequence[str]) -> Postings:
    """Index these texts, or open the index of them that is kept.

    Raises:
        UserError: the cache folder cannot hold it.
    """
    name = f"{texts_digest(texts)[:32]}-words-{VERSION}"
    what = f"The word index of {len(texts):,} passages"
    folder, about, held = kept_index(name, _About, what=what, build=partial(_built, texts))
    return Postings(folder, about.size, about.blocks, {word: n for n, word in enumerate(about.vocabulary)}, held)


def _built(texts: Sequence[str], home: Path) -> _About:
    known: dict[str, int] = {}
    holders: list[int] = []
    lengths, count = 0, 0
    with tempfile.TemporaryDirectory(dir=home.parent, ignore_cleanup_errors=True) as raw:
        for count, block in enumerate(blocks(texts), start=1):
            lengths += _numbered(block, known=known, holders=holders, to=Path(raw) / str(count - 1))
        weights = _rarity(np.array(holders, dtype=np.float64), len(texts))
        for number in range(count):
            _post(Path(raw) / str(number), home, number=number, weights=weights, mean=lengths / len(texts))
    return _About(len(texts), count, list(known))


def _numbered(texts: Sequence[str], *, known: dict[str, int], holders: list[int], to: Path) -> int:
    """Write a block's words as numbers, new ones numbered on; give how many stand there. A text without words has one
    empty word, as in `lexical`."""
    found: list[int] = []
    sizes: list[int] = []
    for text in texts:
        ids = [known.setdefault(word, len(known)) for word in words(text, width=BIGRAMS) or [""]]
        found += ids
        sizes.append(len(ids))
        holders += [0] * (len(known) - len(holders))
        for word in set(ids):
            holders[word] += 1
    np.savez(to, ids=np.array(found, dtype=np.int32), sizes=np.array(sizes, dtype=np.int32))
    return len(found)


def _rarity(holders: npt.NDArray[np.float64], size: int) -> Scores:
    """Lucene's inverse document frequency."""
    return np.log(1 + (size - holders + 0.5) / (holders + 0.5)).astype(np.float32)


def _post(raw: Path, home: Path, *, number: int, weights: Scores, mean: float) -> None:
    with np.load(raw.with_suffix(".npz")) as read:
        ids, sizes = read["ids"].astype(np.int64), read["sizes"]
    rows = np.repeat(np.arange(len(sizes)), sizes)
    pairs, often = np.unique(ids * len(sizes) + rows, return_counts=True)
    own, places = pairs // len(sizes), pairs % len(sizes)
    length = K1 * (1 - B + B * sizes[places] / mean)
    scores = (weights[own] * (often / (often + length))).astype(np.float32)
    present, starts = np.unique(own, return_index=True)
    parts = (present.astype(np.int32), np.append(starts, len(own)), places.astype(np.int32), scores)
    for part, values in zip(PARTS, parts, strict=True):
        np.save(home / f"{number}-{part}.npy", values)
