"""RAG: the passages nearest to the input, put before it. Without documents it reads the training examples."""

from __future__ import annotations

from collections.abc import Sequence

from harness.arms.base import Needs, Request
from harness.arms.bench import Bench
from harness.records import Recipe
from harness.scenario import Case

BUDGETS, BUDGETS_QUICK = (150, 300, 600), (300,)
"""Words of passages in a prompt: 1, 2 and 4 passages of 150 words."""
FROM_EXAMPLES = "There are no documents: this arm retrieved from the training examples instead."


class RagArm:
    """How many passages is chosen on dev; how they are cut and searched was settled before (`retrieval.choose`)."""

    name = "rag"
    needs = Needs(embedder=True)

    def prepare(self, bench: Bench) -> Recipe:
        """Choose the number of passages on dev."""
        options = {str(k): self._requests(bench, bench.dev, k) for k in _counts(bench)}
        choice = bench.choose("passages", options)
        documents = bool(bench.scenario.documents)
        return Recipe(
            self.name,
            k=int(choice.chosen),
            source="documents" if documents else "examples",
            choices=(*bench.retrieval_choice, choice) if documents else (choice,),
            notes=tuple(filter(None, [bench.retrieval_note, bench.index_note])) if documents else (FROM_EXAMPLES,),
        )

    def requests(self, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, fresh: bool = False) -> list[Request]:
        """The k nearest passages of each case."""
        return self._requests(bench, cases, recipe.k, fresh=fresh)

    @staticmethod
    def _requests(bench: Bench, cases: Sequence[Case], k: int, *, fresh: bool = False) -> list[Request]:
        return [Request(passages=found) for found in bench.retrieve([c.input for c in cases], k=k, fresh=fresh)]


def _counts(bench: Bench) -> list[int]:
    """Numbers of passages to try: as many as make up the budgets, and no more than there are."""
    wanted = dict.fromkeys(bench.retrieval.count(words) for words in (BUDGETS_QUICK if bench.quick else BUDGETS))
    return [k for k in wanted if k <= len(bench.passages)] or [len(bench.passages)]
