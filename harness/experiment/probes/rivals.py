"""Experiments that add one arm beside the comparison and set it against an arm of the main run on all eval cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.experiment.probes.read import Answered, Evidence
from harness.experiment.probes.seeds import SeedsProbe, values_by_seed
from harness.experiment.probes.words import gap, minutes, scored
from harness.experiment.score import clusters_of
from harness.experiment.wording import name_of
from harness.records import CONTROL, Finding, Reading
from harness.stats.paired import Interval
from harness.stats.seeds import p_with_seeds, paired_intervals_with_seeds

EXTRA_NAMES = {
    "classifier": "a classifier on embeddings",
    "lora_documents": "LoRA tuned on the documents",
    "full_tuning": "full tuning",
}


@dataclass(frozen=True, slots=True)
class Rival:
    """A variant and the arm of the main run that it is set against."""

    variant: Answered
    against: str
    words: str
    """The variant's name in a sentence."""


def rival_finding(
    name: str, evidence: Evidence, rivals: Sequence[Rival], *, remark: str = "", beside: bool = True
) -> Finding:
    """Both scores, the paired difference and what preparing took.

    Args:
        remark: a sentence that closes the finding.
        beside: whether the sentences belong beside the verdict.
    """
    readings: list[Reading] = []
    said: list[str] = []
    for rival in rivals:
        main = evidence.main.get(rival.against)
        if main is None:
            continue
        readings += [evidence.reading(rival.variant), evidence.reading(main)]
        said.append(_sentence(evidence, rival, main))
    sentences = (*said, *((remark,) if remark and said else ()), *evidence.failures())
    return Finding(name, sentences, tuple(readings), evidence.seconds, bearing=tuple(said) if beside else ())


def best_arm(evidence: Evidence) -> str | None:
    """The best arm of the main run by mean, the control and arms that were stopped left out."""
    out = {CONTROL, *(one.arm for one in evidence.folder.stopped() or ())}
    means = {
        arm: sum(values.values()) / len(values)
        for arm, run in evidence.main.items()
        if arm not in out and (values := run.values(evidence.metric))
    }
    return max(means, key=lambda arm: means[arm]) if means else None


def _sentence(evidence: Evidence, rival: Rival, main: Answered) -> str:
    metric, share = evidence.metric, evidence.is_share
    values = rival.variant.values(metric)
    reached = scored(evidence.mean(values, right_or_wrong=share), is_share=share)
    found, p = against_all_seeds(evidence, values, rival.against)
    alpha = evidence.folder.rule().rule.alpha
    told = "ahead" if found.low > 0 and p < alpha else "behind" if found.high < 0 and p < alpha else "not told apart"
    took = minutes(rival.variant.seconds_of("prepare"))
    tuned = rival.variant.recipe is not None and rival.variant.recipe.adapter is not None
    luck = " It was trained once: luck of that training is not counted." if tuned else ""
    text = (
        f"{rival.words} reaches {reached}, {gap(found)} against {name_of(rival.against)} ({told}; one comparison, not "
        f"part of the rule's family). Setting it up took {took}.{luck}"
    )
    return text[0].upper() + text[1:]


def against_all_seeds(evidence: Evidence, values: Mapping[str, float], arm: str) -> tuple[Interval, float]:
    """The paired difference to an arm of the main run over all its training seeds, and its p."""
    rule, ids = evidence.folder.rule().rule, [c.id for c in evidence.main[arm].cases if c.id in values]
    seeds = values_by_seed(Evidence(evidence.folder, SeedsProbe.name), arm, ids, metric=evidence.metric)
    gaps = np.array([values[name] for name in ids]) - np.array(seeds)
    clusters = clusters_of([evidence.cases[name] for name in ids])
    found = paired_intervals_with_seeds(
        gaps, alphas=(rule.alpha,), resamples=rule.resamples, seed=rule.seed, clusters=clusters
    )[0]
    return found, p_with_seeds(gaps, resamples=rule.resamples, seed=rule.seed, clusters=clusters)
