"""The control: always the same answer. An arm that doesn't beat it has learned nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.arms.base import Needs, Request
from harness.arms.bench import Bench
from harness.records import Recipe
from harness.scenario import Case, Kind

FROM_EVAL = (
    "It is the commonest right answer of the eval set itself, the best that any constant answer can do: the training "
    "examples have another one, or there are none."
)


class DummyArm:
    """The commonest training output.

    For labels it is the commonest eval output where that differs: an arm that says "yes" to everything must not look
    useful because "no" happened to be commoner in training. The control is the only arm that may look, since looking
    can only make it harder to beat.
    """

    name = "dummy"
    needs = Needs()

    def prepare(self, bench: Bench) -> Recipe:
        """Nothing to choose on dev."""
        answer = constant(bench)
        said = f"The constant answer is {answer!r}."
        trained = bool(bench.examples) and answer == commonest(bench.examples)
        return Recipe(self.name, notes=(said,) if trained else (said, FROM_EVAL))

    def requests(self, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, fresh: bool = False) -> list[Request]:
        """The same answer for every case."""
        answer = constant(bench)
        return [Request(fixed=answer) for _ in cases]


def constant(bench: Bench) -> str:
    """The answer that is always given."""
    labelled = bench.scenario.kind is Kind.LABELS
    return commonest(bench.scenario.cases if labelled or not bench.examples else bench.examples)


def commonest(examples: Sequence[Case]) -> str:
    """The commonest output; the earliest of equals."""
    return Counter(e.output for e in examples).most_common(1)[0][0]
