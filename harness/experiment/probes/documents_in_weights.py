"""Information parity: the documents that RAG reads, put into the weights instead. Weights or index?"""

from __future__ import annotations

from collections.abc import Iterator

from harness.arms.registry import arm as arm_named
from harness.experiment.probes.base import Effort, Ground, Variant
from harness.experiment.probes.read import Evidence
from harness.experiment.probes.rivals import EXTRA_NAMES, Rival, rival_finding
from harness.records import Finding
from harness.scenario import Scenario

ARM = "lora_documents"


class DocumentsInWeightsProbe:
    """An adapter tuned on passages and pairs, answering without passages, against RAG and plain LoRA."""

    name = "documents_in_weights"
    question = "Weights or index: can the documents be learned instead of read?"

    def missing(self, scenario: Scenario, arms: tuple[str, ...]) -> str | None:
        """Needs documents, and training examples for the form."""
        if not scenario.documents:
            return "there are no documents"
        return None if scenario.train else "there are no training examples"

    def effort(self, scenario: Scenario, arms: tuple[str, ...], *, quick: bool) -> Effort:
        """A long training and one set of answers."""
        return Effort(1.5, 1.0, "an adapter tuned on the documents themselves")

    def variants(self, ground: Ground) -> Iterator[Variant]:
        """One."""
        cases, seed = ground.scenario.cases, ground.scenario.seed
        yield Variant(ARM, "tuned on documents and pairs", arm_named(ARM), cases, ground.bench, seed=seed)

    def finding(self, evidence: Evidence) -> Finding:
        """Against the arms that read, and the one that was tuned on pairs alone."""
        rivals = [
            Rival(v, arm, EXTRA_NAMES[ARM])
            for v in evidence.variants
            if v.complete
            for arm in ("rag", "rag_lora", "lora")
            if arm in evidence.main
        ]
        return rival_finding(self.name, evidence, rivals)
