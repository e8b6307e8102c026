"""Full fine-tuning: every weight of the base model tuned on the training pairs, prompted as the zero-shot arm is."""

from __future__ import annotations

from collections.abc import Sequence

from harness.arms.base import Needs, Request
from harness.arms.bench import Bench
from harness.records import Recipe
from harness.scenario import Case
from harness.tuning.full import FULL_TUNING


class FullTuningArm:
    """Learning rate and epochs are chosen on dev. The tuner knows this arm by its name."""

    name = FULL_TUNING
    needs = Needs(train=True, tuning=True)

    def prepare(self, bench: Bench) -> Recipe:
        """Tune on the training examples."""
        return bench.tune(self.name, [Request()] * len(bench.train), dev=[Request()] * len(bench.dev))

    def requests(self, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, fresh: bool = False) -> list[Request]:
        """The plain prompt."""
        return [Request() for _ in cases]
