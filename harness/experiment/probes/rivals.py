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
    grouped: dict[tuple[str, str], list[Rival]] = {}
    for rival in rivals:
        if rival.against in evidence.main:
            grouped.setdefault((rival.variant.arm, rival.variant.condition), []).append(rival)
    for own in grouped.values():
        shown = (own[0].variant, *(evidence.main[rival.against] for rival in own))
        readings += [evidence.reading(one) for one in shown]
        said.append(_sentence(evidence, own))
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


def _sentence(evidence: Evidence, rivals: Sequence[Rival]) -> str:
    """One variant: its score, the difference to each arm that it is set against, and what setting it up took."""
    variant, share = rivals[0].variant, evidence.is_share
    values = variant.values(evidence.metric)
    reached = scored(evidence.mean(values, right_or_wrong=share), is_share=share)
    against = "; ".join(_against(evidence, values, rival.against) for rival in rivals)
    tuned = variant.recipe is not None and variant.recipe.adapter is not None
    luck = ", trained once (luck of that is not counted)" if tuned else ""
    text = (
        f"{rivals[0].words} reaches {reached}: {against}. These comparisons stand beside the rule's own. Setting it up "
        f"took {minutes(variant.seconds_of('prepare'))}{luck}."
    )
    return text[0].upper() + text[1:]


def _against(evidence: Evidence, values: Mapping[str, float], arm: str) -> str:
    found, p = against_all_seeds(evidence, values, arm)
    alpha = evidence.folder.rule().rule.alpha
    told = "ahead" if found.low > 0 and p < alpha else "behind" if found.high < 0 and p < alpha else "not told apart"
    return f"{gap(found)} against {name_of(arm)} ({told})"


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
