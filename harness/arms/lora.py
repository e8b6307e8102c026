"""LoRA: the base model tuned on the training pairs, prompted as the zero-shot arm is."""

from __future__ import annotations

from collections.abc import Sequence

from harness.arms.base import Needs, Request
from harness.arms.bench import Bench
from harness.records import Recipe
from harness.scenario import Case


class LoraArm:
    """Learning rate and epochs are chosen on dev."""

    name = "lora"
    needs = Needs(train=True, tuning=True)

    def prepare(self, bench: Bench) -> Recipe:
        """Tune on the training examples."""
        return bench.tune(self.name, [Request()] * len(bench.train), dev=[Request()] * len(bench.dev))

    def requests(self, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, fresh: bool = False) -> list[Request]:
        """The plain prompt."""
        return [Request() for _ in cases]
