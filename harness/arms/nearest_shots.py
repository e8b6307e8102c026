"""Nearest shots: for each input, the most similar training examples as worked examples, the most similar last.

Least-to-most similar order: Khrapunova (ASRJETS) and KATE-style selection report it as the better one.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.arms.base import Needs, Request
from harness.arms.bench import Bench
from harness.records import Recipe
from harness.scenario import Case

COUNTS, COUNTS_QUICK = (2, 5, 10), (5,)


class NearestShotsArm:
    """Retrieval over the training inputs, with FAISS."""

    name = "nearest_shots"
    needs = Needs(train=True, embedder=True)

    def prepare(self, bench: Bench) -> Recipe:
        """Choose the number of shots on dev."""
        counts = [k for k in (COUNTS_QUICK if bench.quick else COUNTS) if k <= len(bench.train)] or [len(bench.train)]
        choice = bench.choose("shots", {str(k): _nearest(bench, bench.dev, k) for k in counts})
        return Recipe(self.name, k=int(choice.chosen), source="examples", choices=(choice,))

    def requests(self, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, fresh: bool = False) -> list[Request]:
        """The k nearest training examples of each case."""
        return _nearest(bench, cases, recipe.k, fresh=fresh)


def _nearest(bench: Bench, cases: Sequence[Case], k: int, *, fresh: bool = False) -> list[Request]:
    found = bench.example_index.search([c.input for c in cases], k=k, fresh=fresh)
    return [Request(shots=tuple(bench.train[i] for i in reversed(row))) for row in found]
