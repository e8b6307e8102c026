"""Learning curve: would more labels pay? Tuned and nearest-shot arms on an eighth, a quarter and half of the data."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from harness.arms.registry import arm as arm_named
from harness.experiment.probes.base import TUNED, Effort, Ground, Variant, tuned_among
from harness.experiment.probes.read import Answered, Evidence
from harness.experiment.probes.seeds import SeedsProbe, seed_spread
from harness.experiment.probes.words import about, gap, score
from harness.experiment.wording import name_of
from harness.records import Finding, Reading
from harness.scenario import Kind, Scenario
from harness.scenario_file.limits import draw, draw_stratified
from harness.stats.curve import Curve, fit_curve

SHARES = (0.125, 0.25, 0.5)
FEWEST = 10
"""Training examples below which a share is not tried."""
LEARNING = ("nearest_shots", "lora", "rag_lora")
"""Arms that learn from the training examples as such."""


class LearningCurveProbe:
    """Same dev split, same eval cases; only the training examples get fewer, each part within the next."""

    name = "learning_curve"
    question = "Would more labels pay?"

    def missing(self, scenario: Scenario, arms: tuple[str, ...]) -> str | None:
        """Needs an arm that learns, and examples enough to halve."""
        if not [name for name in arms if name in LEARNING]:
            return "no arm of this run learns from training examples"
        return None if len(scenario.train) >= 4 * FEWEST else f"there are fewer than {4 * FEWEST} training examples"

    def effort(self, scenario: Scenario, arms: tuple[str, ...], *, quick: bool) -> Effort:
        """Shares of a training, and all cases three times an arm."""
        tuned, learning = len(tuned_among(arms)), len([a for a in arms if a in LEARNING])
        return Effort(tuned * sum(SHARES), learning * len(SHARES), "12.5, 25 and 50 % of the training examples")

    def variants(self, ground: Ground) -> Iterator[Variant]:
        """Smallest part first, so that a stopped run has something to show."""
        bench, whole = ground.bench, ground.bench.train
        pick = draw_stratified if ground.scenario.kind is Kind.LABELS else draw
        parts, left = [], whole
        for part in sorted(SHARES, reverse=True):
            left = pick(left, max(1, round(part * len(whole))), seed=ground.scenario.seed)
            parts.append((part, left))
        for part, train in reversed(parts):
            if len(train) < FEWEST:
                continue
            for arm in ground.arms:
                if arm in LEARNING:
                    condition = f"{100 * part:g} % of the training examples"
                    fewer = replace(bench, train=tuple(train))
                    cases, seed = ground.scenario.cases, ground.scenario.seed
                    yield Variant(arm, condition, arm_named(arm), cases, fewer, seed=seed, size=len(train))

    def finding(self, evidence: Evidence) -> Finding:
        """The measured points, the fitted curve, and what it says of more labels."""
        readings: list[Reading] = []
        said: list[str] = []
        outlook: dict[str, str] = {}
        for arm in dict.fromkeys(v.arm for v in evidence.variants if v.complete):
            runs = _runs(evidence, arm)
            readings += [evidence.reading(run, condition=f"{size:,.0f} examples") for size, run in runs]
            said += _sentences(evidence, arm, runs)
            outlook[arm] = said[-1]
        whole = (*said, *evidence.failures())
        best = max(outlook, key=lambda arm: _mean(evidence, evidence.main[arm]), default=None)
        bearing = (outlook[best],) if best else ()
        return Finding(self.name, whole, tuple(readings), evidence.seconds, bearing=bearing)


def _runs(evidence: Evidence, arm: str) -> list[tuple[float, Answered]]:
    """(training examples, answers), smallest first, the main run last."""
    parts = [(v.record.size, v) for v in evidence.variants if v.arm == arm and v.complete]
    whole = float(evidence.folder.scenario().train_examples)
    return [*sorted(parts, key=lambda part: part[0]), (whole, evidence.main[arm])]


def curve_of(evidence: Evidence, runs: list[tuple[float, Answered]]) -> Curve | None:
    """The power law through the arm's points; None with too few of them."""
    scores = np.array([[run.values(evidence.metric).get(name, 0.0) for name in evidence.cases] for _, run in runs])
    rule = evidence.folder.rule().rule
    sizes = [size for size, _ in runs]
    return fit_curve(
        sizes, scores, seed=rule.seed, clusters=evidence.clusters, seed_sd=_between_seeds(evidence, runs[-1][1].arm)
    )


def _between_seeds(evidence: Evidence, arm: str) -> float:
    """Standard deviation of the arm's mean between training seeds, where it was tuned from several; else 0."""
    found = seed_spread(Evidence(evidence.folder, SeedsProbe.name), arm)
    return statistics.stdev(found.scores) if found is not None else 0.0


def _sentences(evidence: Evidence, arm: str, runs: list[tuple[float, Answered]]) -> list[str]:
    share = evidence.is_share
    shown = [score(_mean(evidence, run), is_share=share) for _, run in runs]
    sizes = ", ".join(f"{size:,.0f}" for size, _ in runs)
    first = f"{name_of(arm)}: {', '.join(shown)} with {sizes} training examples."
    return [_capital(first), _capital(_outlook(evidence, arm, runs, curve_of(evidence, runs)))]


def _mean(evidence: Evidence, run: Answered) -> float:
    values = run.values(evidence.metric)
    return sum(values.values()) / max(1, len(values))


def _outlook(evidence: Evidence, arm: str, runs: list[tuple[float, Answered]], curve: Curve | None) -> str:
    """What twice the labels would bring, and how many the best other arm is away."""
    if curve is None:
        return f"{name_of(arm)}: too few sizes were measured to say what more labels would bring."
    whole = runs[-1][0]
    rule = evidence.folder.rule().rule
    doubled = curve.gain_at(2 * whole, alpha=rule.alpha)
    shown = "would" if doubled.low > 0 else "may or may not"
    text = (
        f"for {name_of(arm)}, twice the labels ({2 * whole:,.0f}) {shown} add something: {gap(doubled)} by the fitted "
        "curve"
    )
    once = arm in TUNED and not _between_seeds(evidence, arm)
    luck = " (Each size was trained once; luck of the training is not counted.)" if once else ""
    return f"{text}{_target(evidence, arm, curve, whole)}{luck}"


def _target(evidence: Evidence, arm: str, curve: Curve, whole: float) -> str:
    """How many labels to the target, or to the best arm where that is another one."""
    rule = evidence.folder.rule().rule
    means = {name: _mean(evidence, run) for name, run in evidence.main.items()}
    best = max(means, key=lambda name: means[name])
    goal = rule.target if rule.target is not None else means[best]
    name = "the target" if rule.target is not None else name_of(best)
    if means[arm] >= goal:
        return "."
    needed = curve.size_to_reach(goal, alpha=rule.alpha)
    to_reach = f"to reach {name} at {score(goal, is_share=evidence.is_share)}"
    if needed.middle is None:
        return f"; {to_reach} there is no number of labels that these cases let us defend."
    if needed.middle <= whole:
        return f"; by the curve it is level with {name} at {score(goal, is_share=evidence.is_share)} already."
    span = f"{needed.low - whole:,.0f} to {needed.high - whole:,.0f}" if needed.low and needed.high else "wide open"
    return f"; {to_reach} it would take {about(needed.middle - whole)} more labels ({span})."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
