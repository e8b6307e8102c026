"""How the documents are best searched, found out on training examples without a language model.

What is counted is the hit rate at an equal budget of words: of the examples, the share for which the passages that make
up 300 words hold the answer. One-standard-error rule (Breiman, Friedman, Olshen and Stone 1984, "Classification and
Regression Trees", 3.4.3): of all settings that are within one standard error of the best, paired over the examples, the
simplest is taken.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from harness.records import Choice, Passage, Trial
from harness.retrieval.chunks import WORDS, chunk_documents
from harness.retrieval.embed import Embedder
from harness.retrieval.gold import Bag, answers_of, holds_any, is_of, together
from harness.retrieval.retriever import Retriever, Shelf, indexed_text
from harness.retrieval.settings import BUDGET, DEFAULT, MOST_DOCUMENTS, WAYS, RetrievalSettings
from harness.scenario import Case, Document
from harness.spool import Spooled

SIZES = (WORDS, 300, 75)
"""Words of a passage, simplest first."""
MOST_EXAMPLES = 200
FEWEST_EXAMPLES = 10
"""With fewer examples that can be judged, nothing is chosen."""
SHORTEST_ANSWER = 3
"""Characters; shorter answers stand everywhere by chance."""
ENOUGH_FOUND = 0.6
"""Where no example names its document, so many of the answers must stand somewhere in the documents."""
METRIC = f"hit rate at {BUDGET} words"
NOT_CHOSEN = (
    f"How the documents are searched was not chosen but left at {DEFAULT.name}: for too few training examples it could "
    "be said which passage is the right one (they name no document, and their answers do not stand in the documents)."
)
SIZE_NOT_CHOSEN = (
    "The length of passages, and whether to rerank, were not chosen but left as usual: the documents are too many to "
    "be embedded again, and the training examples do not name theirs."
)

Hits = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ChosenRetrieval:
    """Settings with the choice behind them; kept in the run folder as `retrieval.json`."""

    settings: RetrievalSettings
    choice: Choice
    note: str = ""
    """A sentence for the report where nothing could be chosen."""


@dataclass(frozen=True, slots=True)
class Target:
    """What makes a search a hit: passages of this document (None: of any) that hold an answer (none: whatever they
    hold)."""

    query: str
    document: str | None
    answers: tuple[Bag, ...]

    def hit(self, passages: Sequence[tuple[Passage, Bag]]) -> bool:
        """Whether these passages, each with its bag, are enough to answer from."""
        own = [bag for passage, bag in passages if self.document is None or is_of(passage, self.document)]
        return bool(own) and (not self.answers or holds_any(together(own), self.answers))


@dataclass(frozen=True)
class Collection:
    """Documents cut at one size, with all that is needed to search them and to judge what was found."""

    documents: Sequence[Document]
    words: int
    embedder: Embedder
    cross_encoder: str | None = None

    @cached_property
    def shelf(self) -> Shelf:
        """The passages with their indexes."""
        return Shelf(chunk_documents(self.documents, words=self.words), self.embedder, self.cross_encoder)

    @cached_property
    def _bags(self) -> dict[int, Bag]:
        return {}

    def judged(self, place: int) -> tuple[Passage, Bag]:
        """A passage with its bag, which is made when it is first found."""
        passage = self.shelf.passages[place]
        if place not in self._bags:
            self._bags[place] = Bag.of(indexed_text(passage))
        return passage, self._bags[place]

    def hits(self, settings: RetrievalSettings, targets: Sequence[Target]) -> Hits:
        """1 where the budget's passages are a hit, else 0; one value a target."""
        most = 3 * settings.count()
        found = Retriever(self.shelf, settings).search([t.query for t in targets], k=most)
        return np.array(
            [
                float(t.hit([self.judged(i) for i in self._within_budget(row)]))
                for t, row in zip(targets, found, strict=True)
            ],
            dtype=float,
        )

    def _within_budget(self, row: Sequence[int]) -> list[int]:
        """The first passages that together have `BUDGET` words at most, one at least.

        Passages are seldom full: equal numbers of words are compared, not equal numbers of passages.
        """
        kept: list[int] = []
        words = 0
        for place in row:
            words += len(self.shelf.passages[place].text.split())
            if kept and words > BUDGET:
                break
            kept.append(place)
        return kept


def targets_of(
    cases: Sequence[Case], documents: Sequence[Document], *, labels: Sequence[str] = ()
) -> tuple[Target, ...]:
    """What a right search finds, for the cases where that can be said.

    A case that names its document: a passage of it, with the answer where the document holds that. Others: any passage
    with the answer, provided that at least 60 % of such answers stand in the documents. Labels are never looked for.
    """
    names = {case.context_id for case in cases}
    bags = {d.id: Bag.of(f"{d.title}\n{d.text}") for d in documents if d.id in names}
    said = {Bag.of(label).text for label in labels}
    found: list[Target] = []
    unnamed: list[Target] = []
    for case in cases:
        answers = tuple(bag for bag in answers_of(case) if bag.text not in said)
        if case.context_id in bags:
            held = tuple(a for a in answers if bags[case.context_id].holds(a))
            found.append(Target(case.input, case.context_id, held))
        else:
            long_enough = tuple(a for a in answers if len(a.text.strip()) >= SHORTEST_ANSWER)
            unnamed += [Target(case.input, None, long_enough)] if long_enough else []
    somewhere = _held(unnamed, documents)
    held_somewhere = [target for number, target in enumerate(unnamed) if number in somewhere]
    enough = len(held_somewhere) >= ENOUGH_FOUND * len(unnamed)
    return (*found, *(held_somewhere if enough else ()))


def _held(targets: Sequence[Target], documents: Sequence[Document]) -> set[int]:
    """Which of these targets have an answer that stands in some document."""
    held: set[int] = set()
    for document in documents if targets else ():
        left = [number for number in range(len(targets)) if number not in held]
        if not left:
            break
        bag = Bag.of(f"{document.title}\n{document.text}")
        held.update(number for number in left if holds_any(bag, targets[number].answers))
    return held


def choose_retrieval(
    cases: Sequence[Case],
    documents: Sequence[Document],
    *,
    embedder: Embedder,
    seed: int,
    labels: Sequence[str] = (),
    quick: bool = False,
    cross_encoder: str | None = None,
) -> ChosenRetrieval:
    """The settings that find the answers of these training examples (200 of them at most) best.

    The way of searching is chosen on the whole collection, at the usual size; then the size, and whether to rerank, on
    the documents of these examples and others, `MOST_DOCUMENTS` in all, because each size is embedded anew. Quick: the
    way only.
    """
    drawn = sorted(random.Random(seed).sample(range(len(cases)), min(MOST_EXAMPLES, len(cases))))
    targets = targets_of([cases[i] for i in drawn], documents, labels=labels)
    if len(targets) < FEWEST_EXAMPLES:
        return ChosenRetrieval(DEFAULT, Choice("retrieval", DEFAULT.name, METRIC, 0), NOT_CHOSEN)
    whole = Collection(documents, WORDS, embedder)
    ways = {RetrievalSettings(way): whole.hits(RetrievalSettings(way), targets) for way in WAYS}
    best = simplest_of_the_best(ways)
    trials = [Trial(settings.name, float(hits.mean())) for settings, hits in ways.items()]
    spread = isinstance(documents, Spooled) and any(target.document is None for target in targets)
    if not quick and not spread:
        part = _part(targets, documents, seed=seed)
        on = "" if len(part) == len(documents) else f", among {len(part):,} documents"
        best, tried = _sized_and_reranked(best, targets, part, embedder=embedder, cross_encoder=cross_encoder)
        known = {trial.value for trial in trials} if not on else set()
        trials += [Trial(s.name + on, float(h.mean())) for s, h in tried.items() if s.name not in known]
    note = SIZE_NOT_CHOSEN if spread and not quick else ""
    return ChosenRetrieval(best, Choice("retrieval", best.name, METRIC, len(targets), tuple(trials)), note)


def _sized_and_reranked(
    best: RetrievalSettings,
    targets: Sequence[Target],
    documents: Sequence[Document],
    *,
    embedder: Embedder,
    cross_encoder: str | None,
) -> tuple[RetrievalSettings, dict[RetrievalSettings, Hits]]:
    """The best size for this way, then whether to rerank: the settings, and what each tried one found."""
    tried: dict[RetrievalSettings, Hits] = {}
    for size in SIZES:
        settings = replace(best, words=size)
        tried[settings] = Collection(documents, size, embedder).hits(settings, targets)
    best = simplest_of_the_best(tried)
    again = replace(best, reranked=True)
    hits = Collection(documents, best.words, embedder, cross_encoder).hits(again, targets)
    chosen = simplest_of_the_best({best: tried[best], again: hits})
    return chosen, {**tried, again: hits}


def _part(targets: Sequence[Target], documents: Sequence[Document], *, seed: int) -> Sequence[Document]:
    """The documents that targets name and others drawn with the seed, at most `MOST_DOCUMENTS`; all where they fit."""
    if len(documents) <= MOST_DOCUMENTS:
        return documents
    named = {target.document for target in targets}
    if any(target.document is None for target in targets):  # who holds the answer is known by searching only
        return documents
    needed, others = array("Q"), array("Q")
    for place, document in enumerate(documents):
        (needed if document.id in named else others).append(place)
    room = max(0, MOST_DOCUMENTS - len(needed))
    kept = sorted([*needed, *random.Random(seed).sample(others, min(room, len(others)))])
    return tuple(documents[place] for place in kept)


def simplest_of_the_best(tried: dict[RetrievalSettings, Hits]) -> RetrievalSettings:
    """The simplest of those that are within one standard error of the best."""
    best = max(tried, key=lambda settings: (tried[settings].mean(), [-x for x in _complexity(settings)]))
    return min((s for s in tried if _within_one_error(tried[best] - tried[s])), key=_complexity)


def _within_one_error(differences: Hits) -> bool:
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return bool(differences.mean() <= error + 1e-12)


def _complexity(settings: RetrievalSettings) -> tuple[int, int, int]:
    return int(settings.reranked), WAYS.index(settings.way), SIZES.index(settings.words)
