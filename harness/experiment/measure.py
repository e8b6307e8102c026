"""Per-case values that need a model or the passages: measured once, stored, read by the metrics ever after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from harness.lines import in_parts
from harness.metrics.answer import parse_answer
from harness.metrics.form import FACTS, IN_FORM, in_form, longest_words
from harness.records import Measurement, Passage, Prediction
from harness.retrieval.embed import Embedder
from harness.scenario import Case, Kind
from harness.store import RunFolder

AT_ONCE = 1024
"""Answers embedded at once."""


def measurements(folder: RunFolder, *, embedder: Embedder | None) -> Iterator[Measurement]:
    """Retrieval hits where the right document is known; similarity of texts where an embedder is at hand."""
    cases, predictions = folder.cases(), folder.predictions()
    passages, kind = folder.passages(), Kind(folder.scenario().kind)
    sources = {recipe.arm: recipe.source for recipe in folder.recipes()}
    for arm, made in predictions.items():
        if sources.get(arm) == "documents":
            yield from _retrieval(arm, cases, made=made, passages=passages)
        if kind in FACTS:
            yield from _form(arm, folder, cases, made=made)
        if embedder is not None and kind in (Kind.SHORT_ANSWER, Kind.FREE_TEXT):
            for some in in_parts(cases, AT_ONCE):
                yield from _similarity(arm, some, made=made, embedder=embedder, kind=kind)


def _retrieval(
    arm: str, cases: Sequence[Case], *, made: Mapping[str, Prediction], passages: Mapping[str, Passage]
) -> Iterator[Measurement]:
    for case in cases:
        if case.context_id is None or case.id not in made:
            continue
        names = [(passages[p].document_id, p) for p in made[case.id].passages if p in passages]
        rank = next((place for place, ids in enumerate(names, start=1) if case.context_id in ids), None)
        yield Measurement(case.id, arm, "hit_at_k", 1.0 if rank else 0.0)
        yield Measurement(case.id, arm, "mrr", 1.0 / rank if rank else 0.0)


def _form(
    arm: str, folder: RunFolder, cases: Sequence[Case], *, made: Mapping[str, Prediction]
) -> Iterator[Measurement]:
    stored, words = folder.scenario(), longest_words(cases)
    for case in cases:
        if case.id in made:
            text = made[case.id].text
            good = in_form(text, kind=Kind(stored.kind), labels=stored.labels, keys=stored.keys, words=words)
            yield Measurement(case.id, arm, IN_FORM, float(good))


def _similarity(
    arm: str, cases: Sequence[Case], *, made: Mapping[str, Prediction], embedder: Embedder, kind: Kind
) -> Iterator[Measurement]:
    """Cosine of answer and expected output, the best over the references, floored at 0."""
    answered = [(case, parse_answer(made[case.id].text, kind=kind)) for case in cases if case.id in made]
    answered = [(case, text) for case, text in answered if text.strip()]
    if not answered:
        return
    vectors = embedder.encode([text for _, text in answered])
    accepted = embedder.encode([reference for case, _ in answered for reference in case.accepted])
    place = 0
    for (case, _), vector in zip(answered, vectors, strict=True):
        span = accepted[place : place + len(case.accepted)]
        place += len(case.accepted)
        yield Measurement(case.id, arm, "embedding_similarity", float(np.clip((span @ vector).max(), 0.0, 1.0)))
