"""Seeds: tuned arms trained again from other seeds, so that luck in training is not taken for quality.

The whole of an arm's tuning is repeated, learning rate and passes included, on the same examples: order and
initialisation change (Bouthillier et al. 2021, arXiv 2103.03098, on why the whole procedure is repeated).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from harness.arms.registry import arm as arm_named
from harness.experiment.probes.base import Effort, Ground, Variant, tuned_among
from harness.experiment.probes.read import Answered, Evidence
from harness.experiment.probes.words import cause, score
from harness.experiment.wording import listed, name_of
from harness.publish import numbers
from harness.records import Finding, SeedSpread
from harness.scenario import Scenario
from harness.stats.seeds import spread

USUAL_SEEDS = 3


def seeds_wanted(scenario: Scenario, *, quick: bool) -> int:
    """Training seeds of every tuned arm: as the scenario has it, else three, or one in a quick run."""
    return scenario.experiments.seeds or (1 if quick else USUAL_SEEDS)


def condition_of(seed: int) -> str:
    """What a variant is called that was trained from this seed."""
    return f"seed {seed}"


class SeedsProbe:
    """Part of the comparison itself: the tuned arms' scores are means over their seeds."""

    name = "seeds"
    question = "How much of a tuned arm's score is luck of the training seed?"

    def missing(self, scenario: Scenario, arms: tuple[str, ...]) -> str | None:
        """Needs an arm that is tuned."""
        return None if tuned_among(arms) else "no arm of this run is tuned"

    def effort(self, scenario: Scenario, arms: tuple[str, ...], *, quick: bool) -> Effort:
        """Every tuned arm once more a seed."""
        again = (seeds_wanted(scenario, quick=quick) - 1) * len(tuned_among(arms))
        return Effort(again, 0.0, f"tuned arms from {seeds_wanted(scenario, quick=quick)} training seeds")

    def variants(self, ground: Ground) -> Iterator[Variant]:
        """Seeds beside the first, arm by arm."""
        first, cases = ground.scenario.seed, ground.scenario.cases
        for number in range(1, seeds_wanted(ground.scenario, quick=ground.options.quick)):
            for arm in ground.tuned:
                seed = first + number
                yield Variant(arm, condition_of(seed), arm_named(arm), cases, ground.bench, seed=seed, size=seed)

    def finding(self, evidence: Evidence) -> Finding:
        """Each arm's seeds apart, and what the spread does to its interval."""
        found = [one for arm in evidence.main if (one := seed_spread(evidence, arm)) is not None]
        readings = [evidence.reading(evidence.main[one.arm], condition=FIRST) for one in found]
        readings += [evidence.reading(v) for v in evidence.variants if v.complete]
        spread_out = (_sentence(one, is_share=evidence.is_share) for one in found)
        said = (*_shortfalls(evidence), *spread_out)
        return Finding(self.name, said, tuple(readings), evidence.seconds, bearing=said)


FIRST = "first seed"


def seeds_of(evidence: Evidence, arm: str) -> list[Answered]:
    """The arm's answers, one set a seed, the main run's first."""
    return [evidence.main[arm], *(v for v in evidence.variants if v.arm == arm and v.complete)]


def seed_spread(evidence: Evidence, arm: str) -> SeedSpread | None:
    """Scores a seed and the two parts of the error; None for an arm with one seed."""
    runs = seeds_of(evidence, arm)
    if len(runs) < 2:
        return None
    matrix = np.array([[run.values(evidence.metric).get(name, 0.0) for name in evidence.cases] for run in runs])
    found = spread(matrix, clusters=evidence.clusters)
    return SeedSpread(arm, tuple(matrix.mean(axis=1).tolist()), found.seed_error, found.case_error)


def _sentence(one: SeedSpread, *, is_share: bool) -> str:
    low, high = min(one.scores), max(one.scores)
    span = f"{score(low, is_share=is_share)} to {score(high, is_share=is_share)}"
    return (
        f"{name_of(one.arm)}: {span} over {len(one.scores)} training seeds. Its mean is uncertain by "
        f"{numbers.lead(one.seed_error)} because of the seeds and by {numbers.lead(one.case_error)} because of the "
        "cases (standard errors); both are in its interval."
    )


def _shortfalls(evidence: Evidence) -> Iterator[str]:
    """A sentence for every tuned arm of the verdict that has fewer seeds than were asked for."""
    wanted, out = evidence.folder.scenario().seeds, {one.arm for one in evidence.folder.stopped() or ()}
    for arm, run in evidence.main.items():
        tuned = run.recipe is not None and run.recipe.adapter is not None
        count = len(seeds_of(evidence, arm))
        if tuned and arm not in out and count < wanted:
            yield _shortfall(evidence, arm, count=count, wanted=wanted)


def _shortfall(evidence: Evidence, arm: str, *, count: int, wanted: int) -> str:
    causes: dict[str, list[str]] = {}
    for one in evidence.variants:
        if one.arm == arm and one.record.failed:
            causes.setdefault(cause(one.record.failed), []).append(one.condition)
    why = [f"{listed(conditions)}: {reason}" for reason, conditions in causes.items()]
    if count + sum(map(len, causes.values())) < wanted:
        why.append(cause(evidence.done.broken or "not answered to the end"))
    knows = "nothing of the luck of training" if count == 1 else "less of the luck of training than was asked for"
    name, reasons = name_of(arm), "; ".join(why)
    text = f"{name}: {count} of {wanted} training seeds could be run ({reasons}); its interval knows {knows}."
    return text[0].upper() + text[1:]


def values_by_seed(evidence: Evidence, arm: str, cases: Sequence[str], *, metric: str) -> list[list[float]]:
    """One row a seed, one value a case."""
    return [[run.values(metric).get(name, 0.0) for name in cases] for run in seeds_of(evidence, arm)]
