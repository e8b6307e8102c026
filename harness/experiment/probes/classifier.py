"""A classifier on embeddings: the honest cheap arm for label tasks. No language model at all."""

from __future__ import annotations

from collections.abc import Iterator

from harness.arms.registry import arm as arm_named
from harness.experiment.probes.base import Effort, Ground, Variant
from harness.experiment.probes.read import Evidence
from harness.experiment.probes.rivals import EXTRA_NAMES, Rival, best_arm, rival_finding
from harness.records import Finding
from harness.scenario import Kind, Scenario

REMARK = (
    "It belongs to none of the approaches on trial and so is not part of the verdict; where it is ahead or not told "
    "apart, ask first whether a language model is needed."
)


class ClassifierProbe:
    """Logistic regression on the embeddings of the training inputs, against the best arm."""

    name = "classifier"
    question = "Is a language model needed at all?"

    def missing(self, scenario: Scenario, arms: tuple[str, ...]) -> str | None:
        """Needs labels and training examples."""
        if scenario.kind is not Kind.LABELS:
            return f"answers are {scenario.kind.value}, not labels"
        return None if scenario.train else "there are no training examples"

    def effort(self, scenario: Scenario, arms: tuple[str, ...], *, quick: bool) -> Effort:
        """Seconds."""
        return Effort(0.0, 0.02, "logistic regression on embeddings")

    def variants(self, ground: Ground) -> Iterator[Variant]:
        """One."""
        yield Variant(self.name, "logistic regression", arm_named(self.name), ground.scenario.cases, ground.bench)

    def finding(self, evidence: Evidence) -> Finding:
        """Against the best arm."""
        best = best_arm(evidence)
        rivals = [Rival(v, best, EXTRA_NAMES[self.name]) for v in evidence.variants if v.complete and best]
        return rival_finding(self.name, evidence, rivals, remark=REMARK)
