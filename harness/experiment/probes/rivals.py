"""Experiments that add one arm beside the comparison and set it against an arm of the main run on all eval cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.experiment.probes.read import Answered, Evidence
from harness.experiment.probes.words import gap, minutes, scored
from harness.experiment.wording import name_of
from harness.records import CONTROL, Finding, Reading

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
    """The best arm of the main run by mean, the control left out."""
    means = {
        arm: sum(values.values()) / len(values)
        for arm, run in evidence.main.items()
        if arm != CONTROL and (values := run.values(evidence.metric))
    }
    return max(means, key=lambda arm: means[arm]) if means else None


def _sentence(evidence: Evidence, rival: Rival, main: Answered) -> str:
    metric, share = evidence.metric, evidence.is_share
    values, other = rival.variant.values(metric), main.values(metric)
    right = share
    reached = scored(evidence.mean(values, right_or_wrong=right), is_share=share)
    found = evidence.difference(values, other)
    p = evidence.p(values, other)
    told = "ahead" if found.low > 0 and p < 0.05 else "behind" if found.high < 0 and p < 0.05 else "not told apart"
    took = minutes(rival.variant.seconds_of("prepare"))
    text = (
        f"{rival.words} reaches {reached}, {gap(found)} against {name_of(rival.against)} ({told}; one comparison, not "
        f"part of the rule's family). Setting it up took {took}."
    )
    return text[0].upper() + text[1:]
