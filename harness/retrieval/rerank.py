"""The first candidates of a search, looked at once more.

Built in is late interaction in the manner of ColBERT (Khattab and Zaharia 2020, arXiv 2004.12832) with sentences in the
place of tokens: it needs no model beside the embedder. Where the user names a cross-encoder, that reads the pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from harness.errors import MissingModel
from harness.models.device import machine
from harness.models.local import fetch, keep_quiet
from harness.records import Passage
from harness.retrieval.chunks import sentences
from harness.retrieval.embed import Embedder, Vectors
from harness.retrieval.index import VectorIndex

CANDIDATES = 20
"""Places that are reranked; those after them keep their order."""


@dataclass(frozen=True)
class Asked:
    """Queries, and their vectors where something wants them: each query is embedded once a search, or not at all."""

    texts: tuple[str, ...]
    embedder: Embedder
    fresh: bool = False

    @cached_property
    def vectors(self) -> Vectors:
        """One unit vector a query."""
        return self.embedder.encode(self.texts, fresh=self.fresh)


class Reranker(Protocol):
    """Scores candidates, larger is better."""

    def scores(self, asked: Asked, candidates: Sequence[Sequence[int]]) -> list[list[float]]:
        """For each query one score a candidate; candidates are positions in the texts."""


def reranked(reranker: Reranker, asked: Asked, found: Sequence[Sequence[int]]) -> list[list[int]]:
    """Each query's first candidates by the reranker's score (equals keep their order), then the rest as it was."""
    scores = reranker.scores(asked, [row[:CANDIDATES] for row in found])
    return [_ordered(row, score) for row, score in zip(found, scores, strict=True)]


def _ordered(row: Sequence[int], scores: Sequence[float]) -> list[int]:
    places = sorted(range(len(scores)), key=lambda place: -scores[place])
    return [row[place] for place in places] + list(row[len(scores) :])


@dataclass(frozen=True, slots=True)
class SentenceReranker:
    """Mean of two cosines with the query: the text's own and that of its best sentence."""

    index: VectorIndex
    sentences: Vectors
    starts: npt.NDArray[np.int64]
    """Text i has the sentences starts[i] up to starts[i + 1]."""

    def scores(self, asked: Asked, candidates: Sequence[Sequence[int]]) -> list[list[float]]:
        """Sentences were embedded when the index was built; here only products are taken."""
        return [[self._score(v, i) for i in row] for v, row in zip(asked.vectors, candidates, strict=True)]

    def _score(self, query: Vectors, position: int) -> float:
        own = self.sentences[self.starts[position] : self.starts[position + 1]]
        return _mean_of_best(self.index.vectors.rows([position])[0], own, query)


def _mean_of_best(vector: Vectors, own: Vectors, query: Vectors) -> float:
    whole = float(vector @ query)
    return (whole + (float((own @ query).max()) if len(own) else whole)) / 2


def build_sentence_reranker(index: VectorIndex, texts: Sequence[str]) -> SentenceReranker:
    """Embed every sentence of the texts that `index` is of."""
    split = [sentences(text) for text in texts]
    starts = np.cumsum([0, *map(len, split)], dtype=np.int64)
    vectors = index.embedder.encode([sentence for own in split for sentence in own])
    return SentenceReranker(index, vectors, starts)


@dataclass(frozen=True, slots=True)
class LateSentenceReranker:
    """The same where passages are many: the sentences of the candidates only are embedded, when they are asked for."""

    index: VectorIndex
    passages: Sequence[Passage]

    def scores(self, asked: Asked, candidates: Sequence[Sequence[int]]) -> list[list[float]]:
        """Each different candidate is embedded once a search."""
        places = sorted({place for row in candidates for place in row})
        split = [sentences(self.passages[place].text) for place in places]
        starts = np.cumsum([0, *map(len, split)], dtype=np.int64)
        vectors = self.index.embedder.encode([sentence for own in split for sentence in own])
        whole = dict(zip(places, self.index.vectors.rows(places), strict=True)) if places else {}
        own = {place: vectors[starts[i] : starts[i + 1]] for i, place in enumerate(places)}
        return [
            [_mean_of_best(whole[i], own[i], query) for i in row]
            for query, row in zip(asked.vectors, candidates, strict=True)
        ]


class CrossEncoderReranker:
    """A cross-encoder of the user's (a folder or a Hugging Face id), loaded when first asked."""

    def __init__(self, name: str, texts: Sequence[str]) -> None:
        self._name, self._texts = name, texts

    def scores(self, asked: Asked, candidates: Sequence[Sequence[int]]) -> list[list[float]]:
        """The model reads query and text together."""
        pairs = [(q, self._texts[i]) for q, row in zip(asked.texts, candidates, strict=True) for i in row]
        found = iter(self._model.predict(pairs, show_progress_bar=False) if pairs else ())
        return [[float(next(found)) for _ in row] for row in candidates]

    @cached_property
    def _model(self) -> Any:
        keep_quiet()
        from sentence_transformers import CrossEncoder

        path = Path(self._name).expanduser()
        folder = path if path.is_dir() else fetch(self._name)
        try:
            return CrossEncoder(
                str(folder), device=machine().device, trust_remote_code=False, local_files_only=True, num_labels=1
            )
        except (ValueError, OSError, KeyError, ImportError, RuntimeError) as error:
            first = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise MissingModel(f"The reranker {self._name!r} could not be loaded: {first}") from error
