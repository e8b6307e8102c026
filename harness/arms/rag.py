"""RAG: the passages nearest to the input, put before it. Without documents it reads the training examples."""

from __future__ import annotations

from collections.abc import Sequence

from harness.arms.base import Needs, Request
from harness.arms.bench import Bench
from harness.records import Recipe
from harness.scenario import Case

COUNTS, COUNTS_QUICK = (1, 2, 4), (2,)
FROM_EXAMPLES = "There are no documents: this arm retrieved from the training examples instead."


class RagArm:
    """How many passages is chosen on dev."""

    name = "rag"
    needs = Needs(embedder=True)

    def prepare(self, bench: Bench) -> Recipe:
        """Choose the number of passages on dev."""
        counts = [k for k in (COUNTS_QUICK if bench.quick else COUNTS) if k <= len(bench.passages)]
        counts = counts or [len(bench.passages)]
        options = {str(k): self._requests(bench, bench.dev, k) for k in counts}
        choice = bench.choose("passages", options)
        documents = bool(bench.scenario.documents)
        return Recipe(
            self.name,
            k=int(choice.chosen),
            source="documents" if documents else "examples",
            choices=(choice,),
            notes=() if documents else (FROM_EXAMPLES,),
        )

    def requests(self, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, fresh: bool = False) -> list[Request]:
        """The k nearest passages of each case."""
        return self._requests(bench, cases, recipe.k, fresh=fresh)

    @staticmethod
    def _requests(bench: Bench, cases: Sequence[Case], k: int, *, fresh: bool = False) -> list[Request]:
        return [Request(passages=found) for found in bench.retrieve([c.input for c in cases], k=k, fresh=fresh)]
