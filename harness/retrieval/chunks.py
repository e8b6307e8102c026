"""Documents cut into passages that fit an embedder and leave room for several in a prompt."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from harness.records import Passage
from harness.scenario import Document
from harness.spool import Spooled, kept

WORDS = 150
"""Longest passage in words: about 200 tokens, under all-MiniLM-L6-v2's window of 256."""

LETTERS = 8
"""A word counts as at least one for so many characters, so that texts without spaces are cut too."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)|(?<=[。！？])")
_PARAGRAPH_END = re.compile(r"\n\s*\n")


VERSION = 1
"""Of how documents are cut; raised where passages come out otherwise, because those of large collections are kept."""


def chunk_documents(documents: Iterable[Document], *, words: int = WORDS) -> Sequence[Passage]:
    """Passages of at most `words` words, in document order; a passage never crosses two documents.

    A document that fits is one passage and keeps its id; longer ones get `id#1`, `id#2`, ... Many are kept on disk.
    """
    if isinstance(documents, Spooled):
        key = hashlib.sha256(f"passages {VERSION} {words} {documents.digest}".encode()).hexdigest()
    else:
        documents, key = tuple(documents), ""
    taken = _Ids(documents)
    cut = (passage for document in documents for passage in _chunk(document, words, taken=taken))
    return kept(cut, Passage, key=key)


class _Ids:
    """Which ids there are, in eight bytes each. Two ids of one hash, one in 10^13, cost a passage a mark more."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._held = np.fromiter((_hash(one.id) for one in documents), dtype=np.uint64, count=len(documents))
        self._held.sort()

    def __contains__(self, name: str) -> bool:
        wanted = np.uint64(_hash(name))
        at = int(np.searchsorted(self._held, wanted))
        return at < len(self._held) and bool(self._held[at] == wanted)


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def sentences(text: str) -> list[str]:
    """The sentences of a text; a line's end ends one too."""
    parts = (part.strip() for line in text.splitlines() for part in _SENTENCE_END.split(line))
    return [part for part in parts if part]


def _chunk(document: Document, words: int, *, taken: _Ids) -> Iterator[Passage]:
    pieces = list(_packed(_units(document.text, words), words))
    for number, text in enumerate(pieces, start=1):
        name = document.id
        while len(pieces) > 1 and name in taken:
            name = f"{document.id}#{number}" if name == document.id else f"{name}'"
        yield Passage(id=name, document_id=document.id, title=document.title, text=text)


def _units(text: str, words: int) -> Iterator[str]:
    """Paragraphs, or sentences of a long paragraph, or word runs of a long sentence."""
    for paragraph in _PARAGRAPH_END.split(text.strip()):
        if _size(paragraph) <= words:
            yield paragraph.strip()
            continue
        for sentence in _SENTENCE_END.split(paragraph):
            yield from [sentence.strip()] if _size(sentence) <= words else _cut(sentence, words)


def _cut(sentence: str, words: int) -> Iterator[str]:
    """A long sentence in runs of words, a long run without spaces in pieces."""
    parts = [p for word in sentence.split() for p in _letters(word, words * LETTERS)]
    held: list[str] = []
    for part in parts:
        if held and _size(" ".join([*held, part])) > words:
            yield " ".join(held)
            held = []
        held.append(part)
    if held:
        yield " ".join(held)


def _letters(word: str, most: int) -> list[str]:
    return [word[i : i + most] for i in range(0, len(word), most)]


def _size(text: str) -> int:
    """Words, or an eighth of the characters where that is more."""
    return max(len(text.split()), -(-len(text) // LETTERS))


def _packed(units: Iterable[str], words: int) -> Iterator[str]:
    """Units joined while they fit."""
    held: list[str] = []
    count = 0
    for unit in filter(None, units):
        size = _size(unit)
        if held and count + size > words:
            yield "\n".join(held)
            held, count = [], 0
        held.append(unit)
        count += size
    if held:
        yield "\n".join(held)
