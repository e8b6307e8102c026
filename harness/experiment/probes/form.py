"""Form: every arm's answers held to the label set or the schema, and repaired; how much of a lead is form?

An untuned model that is asked for a label and writes a sentence loses to a tuned one on form alone. Held to the same
form, what is left of the lead is what tuning knows. Where answers are free text nothing can be held; there the strict
metric is set against the lenient one, in the report's section on form and facts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness.experiment.probes.base import Effort, Ground, Variant, share_of_cases
from harness.experiment.probes.read import Answered, Evidence
from harness.experiment.probes.words import gap, score
from harness.experiment.wording import name_of
from harness.publish import numbers
from harness.records import CONTROL, Finding, Reading
from harness.scenario import Kind, Scenario

HELD, REPAIRED, FREE = "held to the form", "repaired once", "as run"
TUNED = ("lora", "rag_lora")
UNTUNED = ("prompt", "few_shot", "nearest_shots", "rag")


class FormProbe:
    """The same prompts; only what may be answered, or what happens to an unusable answer, differs."""

    name = "form"
    question = "How much of a lead is form?"

    def missing(self, scenario: Scenario, arms: tuple[str, ...]) -> str | None:
        """Needs answers of a form that can be held to."""
        if scenario.kind not in (Kind.LABELS, Kind.JSON):
            return f"answers are {scenario.kind.value}: there is no form to hold them to"
        if scenario.held_to_labels or scenario.held_to_schema:
            return "every arm is held to the form already in the main run"
        return None

    def effort(self, scenario: Scenario, arms: tuple[str, ...], *, quick: bool) -> Effort:
        """Two sets of answers an arm."""
        answers = 2 * (len(arms) - 1) * share_of_cases(scenario, quick=quick)
        return Effort(0.0, answers, "answers held to the form, and repaired once")

    def variants(self, ground: Ground) -> Iterator[Variant]:
        """Held, then repaired."""
        scenario, cases = ground.scenario, ground.cases
        labels = scenario.kind is Kind.LABELS
        held = replace(ground.bench, scenario=replace(scenario, held_to_labels=labels, held_to_schema=not labels))
        mended = replace(ground.bench, scenario=replace(scenario, repair=True))
        for arm in ground.arms:
            yield ground.as_run(arm, HELD, cases=cases, bench=held)
            if not scenario.repair:
                yield ground.as_run(arm, REPAIRED, cases=cases, bench=mended)

    def finding(self, evidence: Evidence) -> Finding:
        """Each arm free, held and repaired; the share of the tuned arms' lead that form explains."""
        held = evidence.of(HELD)
        readings: list[Reading] = []
        for arm, run in evidence.main.items():
            others = [found[arm] for c in (HELD, REPAIRED) if arm in (found := evidence.of(c))]
            if arm != CONTROL and others:
                readings += [evidence.reading(_cut(run, others[0])), *(evidence.reading(one) for one in others)]
        lead = _lead(evidence, held)
        said = tuple(_moved(evidence, arm, held[arm]) for arm in held)
        bearing = (lead,) if lead else ()
        return Finding(
            self.name, (*bearing, *said, *evidence.failures()), tuple(readings), evidence.seconds, bearing=bearing
        )


def _cut(run: Answered, other: Answered) -> Answered:
    """The main run's answers to the cases of a variant."""
    return replace(run, cases=other.cases)


def _moved(evidence: Evidence, arm: str, held: Answered) -> str:
    free = evidence.main[arm].values(evidence.metric)
    found = evidence.difference(held.values(evidence.metric), free)
    text = f"{name_of(arm)}, held to the form: {gap(found)}."
    return text[0].upper() + text[1:]


def _lead(evidence: Evidence, held: dict[str, Answered]) -> str:
    """How much of the best tuned arm's lead over the best untuned one is left when both are held to the form."""
    tuned = [arm for arm in held if arm in TUNED]
    untuned = [arm for arm in held if arm in UNTUNED]
    if not tuned or not untuned:
        return ""
    metric = evidence.metric
    cases = {c.id for c in next(iter(held.values())).cases}
    free = {a: {k: v for k, v in evidence.main[a].values(metric).items() if k in cases} for a in (*tuned, *untuned)}
    bound = {a: held[a].values(metric) for a in (*tuned, *untuned)}
    first, second = (max(group, key=lambda a: _mean(free[a])) for group in (tuned, untuned))
    rival = max(untuned, key=lambda a: _mean(bound[a]))
    was, left = evidence.difference(free[first], free[second]), evidence.difference(bound[first], bound[rival])
    opening = (
        f"{name_of(first)} against the best untuned arm: {gap(was)} as run ({name_of(second)}), {gap(left)} when every "
        f"arm is held to the form ({name_of(rival)}, {score(_mean(bound[rival]), is_share=evidence.is_share)})."
    )
    opening = opening[0].upper() + opening[1:]
    if was.low <= 0:
        return f"{opening} No lead of tuning is shown as run, so there is none to explain."
    part = 1 - left.estimate / was.estimate
    if left.high < 0:
        return f"{opening} Held to the form, tuning is behind: its lead was form."
    if left.low > 0 and part < 0.5:
        return f"{opening} About {numbers.share(max(0.0, part))} of the lead is form; the rest is not."
    if left.low > 0:
        return f"{opening} About {numbers.share(part)} of the lead is form; something is left."
    return f"{opening} Held to the form no lead is shown: about {numbers.share(min(1.0, part))} of it was form."


def _mean(values: dict[str, float]) -> float:
    return sum(values.values()) / max(1, len(values))
