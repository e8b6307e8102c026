"""Zero-shot: the instruction and the input."""

from __future__ import annotations

from collections.abc import Sequence

from harness.arms.base import Needs, Request
from harness.arms.bench import Bench
from harness.records import Recipe
from harness.scenario import Case


class PromptArm:
    """Nothing but the instruction; its framing was chosen for all arms when the bench was set up."""

    name = "prompt"
    needs = Needs()

    def prepare(self, bench: Bench) -> Recipe:
        """The framing's choice is on record here."""
        return Recipe(self.name, choices=bench.framing_choice)

    def requests(self, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, fresh: bool = False) -> list[Request]:
        """No shots, no passages."""
        return [Request() for _ in cases]
