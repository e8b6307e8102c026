"""The control: always the commonest training output. An arm that doesn't beat it has learned nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.arms.base import Needs, Request
from harness.arms.bench import Bench
from harness.records import Recipe
from harness.scenario import Case


class DummyArm:
    """Constant answer."""

    name = "dummy"
    needs = Needs()

    def prepare(self, bench: Bench) -> Recipe:
        """Nothing to choose."""
        if not bench.examples:
            return Recipe(self.name, notes=("There are no training examples, so the constant answer is empty.",))
        return Recipe(self.name, notes=(f"The constant answer is {commonest(bench.examples)!r}.",))

    def requests(self, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, fresh: bool = False) -> list[Request]:
        """The same answer for every case."""
        answer = commonest(bench.examples) if bench.examples else ""
        return [Request(fixed=answer) for _ in cases]


def commonest(examples: Sequence[Case]) -> str:
    """The commonest output; the earliest of equals."""
    return Counter(e.output for e in examples).most_common(1)[0][0]
