"""RAG + LoRA: tuned on prompts shaped like retrieval, the right passage among others (RAFT, arXiv 2403.10131)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from harness.arms.base import Needs, Request
from harness.arms.bench import Bench
from harness.records import Passage, Recipe
from harness.retrieval.gold import holds_answer
from harness.scenario import Case

WITHOUT_GOLD = 0.2
"""Share of training prompts that keep only what retrieval found, right passage or not (RAFT's 1 - P)."""


class RagLoraArm:
    """Answers with retrieved passages, after tuning with them."""

    name = "rag_lora"
    needs = Needs(train=True, documents=True, embedder=True, tuning=True)

    def prepare(self, bench: Bench) -> Recipe:
        """Tune on retrieval-shaped prompts; dev prompts are plain retrieval, as eval prompts will be."""
        k = min(bench.retrieval.count(), len(bench.passages))
        shaped = training_requests(bench, k)
        dev = [Request(passages=found) for found in bench.retrieve([c.input for c in bench.dev], k=k)]
        made = bench.tune(self.name, shaped, dev=dev)
        return replace(made, k=k, source="documents", notes=(*made.notes, *filter(None, [bench.index_note])))

    def requests(self, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, fresh: bool = False) -> list[Request]:
        """The k nearest passages of each case."""
        found = bench.retrieve([c.input for c in cases], k=recipe.k, fresh=fresh)
        return [Request(passages=row) for row in found]


def training_requests(bench: Bench, k: int) -> list[Request]:
    """For each training example k passages: the right one at a random place among the nearest others."""
    rng = random.Random(bench.seed)
    nearest = bench.retrieve([c.input for c in bench.train], k=k + 4)
    return [Request(passages=_shaped(case, row, k=k, rng=rng)) for case, row in zip(bench.train, nearest, strict=True)]


def _shaped(case: Case, nearest: tuple[Passage, ...], *, k: int, rng: random.Random) -> tuple[Passage, ...]:
    gold = next((p for p in nearest if holds_answer(p, case)), None)
    if gold is None or rng.random() < WITHOUT_GOLD:
        return nearest[:k]
    others = [p for p in nearest if p is not gold][: k - 1]
    others.insert(rng.randint(0, len(others)), gold)
    return tuple(others)
