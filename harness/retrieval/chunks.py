"""Documents cut into passages that fit an embedder and leave room for several in a prompt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from harness.records import Passage
from harness.scenario import Document

WORDS = 150
"""Longest passage in words: about 200 tokens, under all-MiniLM-L6-v2's window of 256."""

_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+(?=\S)")
_PARAGRAPH_END = re.compile(r"\n\s*\n")


def chunk_documents(documents: Iterable[Document], *, words: int = WORDS) -> tuple[Passage, ...]:
    """Passages of at most `words` words, in document order; a passage never crosses two documents.

    A document that fits is one passage and keeps its id; longer ones get `id#1`, `id#2`, ...
    """
    return tuple(passage for document in documents for passage in _chunk(document, words))


def _chunk(document: Document, words: int) -> Iterator[Passage]:
    pieces = list(_packed(_units(document.text, words), words))
    for number, text in enumerate(pieces, start=1):
        name = document.id if len(pieces) == 1 else f"{document.id}#{number}"
        yield Passage(id=name, document_id=document.id, title=document.title, text=text)


def _units(text: str, words: int) -> Iterator[str]:
    """Paragraphs, or sentences of a long paragraph, or word runs of a long sentence."""
    for paragraph in _PARAGRAPH_END.split(text.strip()):
        if len(paragraph.split()) <= words:
            yield paragraph.strip()
            continue
        for sentence in _SENTENCE_END.split(paragraph):
            run = sentence.split()
            if len(run) <= words:
                yield sentence.strip()
            else:
                yield from (" ".join(run[i : i + words]) for i in range(0, len(run), words))


def _packed(units: Iterable[str], words: int) -> Iterator[str]:
    """Units joined while they fit."""
    held: list[str] = []
    count = 0
    for unit in filter(None, units):
        size = len(unit.split())
        if held and count + size > words:
            yield "\n".join(held)
            held, count = [], 0
        held.append(unit)
        count += size
    if held:
        yield "\n".join(held)
