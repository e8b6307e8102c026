"""Full tuning: all weights instead of an adapter, on the same examples. Does LoRA leave something on the table?"""

from __future__ import annotations

from collections.abc import Iterator

from harness.arms.registry import arm as arm_named
from harness.experiment.probes.base import Effort, Ground, Variant
from harness.experiment.probes.read import Evidence
from harness.experiment.probes.rivals import EXTRA_NAMES, Rival, rival_finding
from harness.records import Finding
from harness.scenario import Scenario


class FullTuningProbe:
    """A variant of `lora`, for models that fit."""

    name = "full_tuning"
    question = "Does an adapter leave something on the table?"

    def missing(self, scenario: Scenario, arms: tuple[str, ...]) -> str | None:
        """Needs the arm that it is a variant of."""
        return None if "lora" in arms else "LoRA took no part in this run"

    def effort(self, scenario: Scenario, arms: tuple[str, ...], *, quick: bool) -> Effort:
        """A training and a set of answers."""
        return Effort(1.5, 1.0, "all weights tuned instead of an adapter")

    def variants(self, ground: Ground) -> Iterator[Variant]:
        """One."""
        cases, seed = ground.scenario.cases, ground.scenario.seed
        yield Variant(self.name, "all weights", arm_named(self.name), cases, ground.bench, seed=seed)

    def finding(self, evidence: Evidence) -> Finding:
        """Against LoRA."""
        rivals = [Rival(v, "lora", EXTRA_NAMES[self.name]) for v in evidence.variants if v.complete]
        return rival_finding(self.name, evidence, rivals)
