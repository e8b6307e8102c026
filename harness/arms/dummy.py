"""The control: always the commonest output. An arm that doesn't beat it has learned nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.arms.base import Needs, Request
from harness.arms.bench import Bench
from harness.records import Recipe
from harness.scenario import Case

FROM_EVAL = (
    "There are no training examples, so it is the commonest right answer of the eval set itself: the best that any "
    "constant answer can do."
)


class DummyArm:
    """Constant answer."""

    name = "dummy"
    needs = Needs()

    def prepare(self, bench: Bench) -> Recipe:
        """Nothing to choose."""
        said = f"The constant answer is {commonest(bench.examples or bench.scenario.cases)!r}."
        return Recipe(self.name, notes=(said,) if bench.examples else (said, FROM_EVAL))

    def requests(self, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, fresh: bool = False) -> list[Request]:
        """The same answer for every case."""
        answer = commonest(bench.examples or bench.scenario.cases)
        return [Request(fixed=answer) for _ in cases]


def commonest(examples: Sequence[Case]) -> str:
    """The commonest output; the earliest of equals."""
    return Counter(e.output for e in examples).most_common(1)[0][0]
