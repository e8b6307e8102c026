"""A tuned embedder: the small model that retrieves is trained on the training pairs, the language model is not.

A variant of `rag` and of `nearest_shots`; often the cheapest tuning there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.arms.registry import arm as arm_named
from harness.errors import ArmFailed
from harness.experiment.probes.base import Effort, Ground, Variant
from harness.experiment.probes.read import Evidence
from harness.experiment.probes.rivals import Rival, rival_finding
from harness.experiment.probes.words import minutes
from harness.experiment.wording import name_of
from harness.records import Finding
from harness.retrieval.embed import SentenceEmbedder
from harness.scenario import Kind, Scenario
from harness.store import RunFolder

RETRIEVING = ("nearest_shots", "rag")
FEWEST_PAIRS = 20


class TunedEmbedderProbe:
    """Same prompts, other neighbours."""

    name = "tuned_embedder"
    question = "Is it enough to tune what retrieves?"

    def missing(self, scenario: Scenario, arms: tuple[str, ...]) -> str | None:
        """Needs an arm that retrieves, and pairs to learn from."""
        if not set(arms) & set(RETRIEVING):
            return "no arm of this run retrieves"
        if scenario.kind is Kind.LABELS or scenario.documents:
            return None if len(scenario.train) >= FEWEST_PAIRS else f"fewer than {FEWEST_PAIRS} training examples"
        return "pairs come from labels or from documents, and there are neither"

    def effort(self, scenario: Scenario, arms: tuple[str, ...], *, quick: bool) -> Effort:
        """A short training, and one set of answers an arm."""
        return Effort(0.2, len(set(arms) & set(RETRIEVING)), "the embedder tuned on the training pairs")

    def variants(self, ground: Ground) -> Iterator[Variant]:
        """Arms that retrieve, prepared with the tuned embedder (its neighbours, so its own number of them)."""
        tuned = replace(ground.bench, embedder=_tuned(ground))
        for arm in ground.arms:
            pairs = ground.scenario.kind is Kind.LABELS if arm == "nearest_shots" else bool(ground.scenario.documents)
            if arm in RETRIEVING and pairs:
                yield Variant(arm, "tuned embedder", arm_named(arm), ground.scenario.cases, tuned)

    def finding(self, evidence: Evidence) -> Finding:
        """Each arm against itself with the embedder as it came."""
        rivals = [Rival(v, v.arm, f"{name_of(v.arm)} with a tuned embedder") for v in evidence.variants if v.complete]
        home = evidence.home
        made = home.read("embedder.json", MadeEmbedder) if home.has("embedder.json") else None
        remark = (
            f"The embedder was tuned once for all, on {made.pairs} pairs, in {minutes(made.seconds)}." if made else ""
        )
        return rival_finding(self.name, evidence, rivals, remark=remark)


@dataclass(frozen=True, slots=True)
class MadeEmbedder:
    """What became of the tuning."""

    digest: str
    pairs: int
    seconds: float


def _tuned(ground: Ground) -> SentenceEmbedder:
    """The tuned embedder, from the experiment's folder where it is there already."""
    from harness.tuning.embedder import label_pairs, question_passage_pairs, tune_embedder

    home = RunFolder(ground.folder.path / "experiments" / TunedEmbedderProbe.name)
    home.path.mkdir(parents=True, exist_ok=True)
    out = home.path / "embedder"
    if home.has("embedder.json"):
        return SentenceEmbedder(str(out))
    bench = ground.bench
    labels = ground.scenario.kind is Kind.LABELS
    pairs = label_pairs(bench.train, seed=bench.seed) if labels else question_passage_pairs(bench.train, bench.passages)
    if len(pairs) < FEWEST_PAIRS:
        raise ArmFailed(f"only {len(pairs)} pairs could be made of the training examples; {FEWEST_PAIRS} are needed")
    made = tune_embedder(ground.scenario.embedder, pairs, out=out, seed=bench.seed, notify=bench.notify)
    home.write("embedder.json", MadeEmbedder(made.digest, made.pairs, made.seconds))
    return SentenceEmbedder(str(out))
