"""The arms under several criteria at once: quality, cost, latency, freshness, risk, weighed as the client weighs them.

Each criterion becomes a value of 0..1, more is better: quality is the rule's metric; cost and latency are the cheapest
(fastest) arm's figure over the arm's own; freshness is the score on changed facts after the cheap update (a new index,
no training), from the experiment `facts_change`; risk is the share of answers that can be used at all. A criterion that
was weighed and not measured is left out, and that is said. The probability of being best joins the paired bootstrap
over cases (quality, freshness and risk; cost and latency are taken as measured) with Dirichlet weights (T. Ferguson,
Ann. Stat. 1, 1973, for the distribution; N. Lahdelma et al., EJOR 106, 1998, for acceptability under uncertain
weights).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from harness.experiment.decide import request_cost
from harness.experiment.probes.facts_change import INDEXED, READERS, STALE, FactsChangeProbe
from harness.experiment.probes.read import Evidence
from harness.experiment.probes.words import minutes, score
from harness.experiment.score import NO_SEEDS, FurtherSeeds, by_seed, clusters_of, further_columns
from harness.metrics.registry import metric_named
from harness.metrics.usable import fault_of
from harness.publish import numbers
from harness.records import CONTROL, CaseScore, Cost, CriterionValue, Prediction, Reversal, Standing
from harness.scenario import Kind
from harness.score_table import Places, ScoreTable, table_of
from harness.stats.criteria import probability_best, rank_reversals
from harness.stats.paired import resampled_weights
from harness.store import RunFolder

DRAWS = 4_000
CONCENTRATION = 20.0
"""How sure the weights are: with 20, a weight of 50 % lies between 29 and 71 % in 19 of 20 draws."""


Draws = NDArray[np.float64]
"""(arms, draws): values with the cases drawn again."""


@dataclass(frozen=True, slots=True)
class _Criterion:
    """One criterion: each arm's value as measured, and with the cases drawn again."""

    values: tuple[CriterionValue, ...]
    draws: Draws


def standing(
    folder: RunFolder,
    case_scores: Sequence[CaseScore],
    costs: Sequence[Cost],
    *,
    arms: Sequence[str],
    seeds: FurtherSeeds = NO_SEEDS,
    facts_changed: bool = True,
) -> Standing | None:
    """The arms, the control left out, under the scenario's criteria; None where it weighs none or fewer than two arms
    took part.

    `facts_changed`: whether the experiment `facts_change` went through; without it freshness is not measured.
    """
    weighed = folder.scenario().criteria
    answering = {score.arm for score in case_scores if not score.failed}
    answering |= {arm for arm, more in seeds.items() if any(not s.failed for one in more for s in one.values())}
    shown = tuple(arm for arm in arms if arm != CONTROL and arm in answering)
    if weighed is None or len(shown) < 2:
        return None
    found = _found(folder, case_scores, {c.arm: c for c in costs}, arms=shown, seeds=seeds)
    if not facts_changed:
        found.pop("freshness", None)
    weights = {name: w for name, w in asdict(weighed).items() if w > 0 and name in found}
    if not weights:
        return None
    draws = {name: found[name].draws for name in weights}
    table = {name: np.array([v.value for v in found[name].values]) for name in weights}
    seed = folder.rule().rule.seed
    sure = probability_best(draws, weights, concentration=CONCENTRATION, draws=DRAWS, seed=seed)
    unsure = probability_best(
        draws, dict.fromkeys(weights, 1.0), concentration=float(len(weights)), draws=DRAWS, seed=seed
    )
    total = sum(weights.values())
    totals = {arm: sum(w * table[n][i] for n, w in weights.items()) / total for i, arm in enumerate(shown)}
    return Standing(
        weights,
        tuple(v for name in weights for v in found[name].values),
        {arm: float(value) for arm, value in totals.items()},
        dict(zip(shown, map(float, sure), strict=True)),
        dict(zip(shown, map(float, unsure), strict=True)),
        tuple(_reversals(table, weights, shown)),
        tuple(name for name, w in asdict(weighed).items() if w > 0 and name not in found),
    )


def _reversals(
    table: Mapping[str, NDArray[np.float64]], weights: Mapping[str, float], arms: Sequence[str]
) -> list[Reversal]:
    found = rank_reversals(table, weights)
    return [
        Reversal(name, change.weight, arms[change.arm])
        for name, sides in found.items()
        for change in (sides.below, sides.above)
        if change is not None
    ]


def _found(
    folder: RunFolder,
    case_scores: Sequence[CaseScore],
    costs: Mapping[str, Cost],
    *,
    arms: Sequence[str],
    seeds: FurtherSeeds,
) -> dict[str, _Criterion]:
    """What was measured for all arms, by criterion."""
    table = table_of(case_scores, folder.cases())
    at = _answered_by_all(table, arms)
    counts = DrawnAgain(len(at), folder.rule().rule.seed, table.roll.clusters(at))
    seconds = {a: p50 for a in arms if a in costs and (p50 := costs[a].latency_p50)}
    found = {
        "quality": _quality(folder, table, at, counts=counts, arms=arms, seeds=seeds),
        "cost": _ratio("cost", {a: request_cost(costs[a]) for a in arms if a in costs}, arms, "{:,.0f} tokens"),
        "latency": _ratio("latency", seconds, arms, ""),
        "freshness": _freshness(folder, arms),
        "risk": _risk(folder, [table.roll.ids[place] for place in at], counts=counts, arms=arms),
    }
    return {name: one for name, one in found.items() if one is not None}


def _answered_by_all(table: ScoreTable, arms: Sequence[str]) -> Places:
    """Where the cases stand that all of the arms were scored on."""
    nothing = np.zeros(len(table.roll), dtype=bool)
    there = [table.columns[arm].there if arm in table.columns else nothing for arm in arms]
    return np.flatnonzero(np.logical_and.reduce(there))


@dataclass(frozen=True, slots=True)
class DrawnAgain:
    """Cases drawn again with replacement, the same ones each time; groups are drawn as one."""

    n: int
    seed: int
    clusters: tuple[str, ...] | None

    def means(self, table: NDArray[np.float64]) -> Draws:
        """Means of (rows, cases) with the cases drawn again: (rows, draws)."""
        drawn = resampled_weights(self.n, resamples=DRAWS, seed=self.seed, clusters=self.clusters)
        found: Draws = np.concatenate([(table @ counts.T) / counts.sum(axis=1) for counts in drawn], axis=1)
        return found


def _quality(
    folder: RunFolder,
    scores: ScoreTable,
    at: Places,
    *,
    counts: DrawnAgain,
    arms: Sequence[str],
    seeds: FurtherSeeds,
) -> _Criterion:
    """Means on the rule's metric; cases and seeds are both drawn again."""
    rule, further = folder.rule().rule, further_columns(seeds, scores.roll)
    is_share = metric_named(rule.metric).right_or_wrong
    rng = np.random.default_rng([rule.seed, 2])
    values, drawn = [], []
    for arm in arms:
        table = np.nan_to_num(by_seed(scores.columns[arm], further.get(arm, ()), metric=rule.metric, at=at))
        by_draw = counts.means(table)
        picked = rng.integers(0, len(table), (len(table), DRAWS))
        mean = float(table.mean())
        values.append(CriterionValue(arm, "quality", mean, score(mean, is_share=is_share)))
        drawn.append(np.take_along_axis(by_draw, picked, axis=0).mean(axis=0))
    return _Criterion(tuple(values), np.array(drawn))


def _ratio(name: str, figures: Mapping[str, float], arms: Sequence[str], form: str) -> _Criterion | None:
    """The least figure over each arm's own, taken as measured; nothing where an arm has none."""
    if any(figures.get(arm, 0.0) <= 0 for arm in arms):
        return None
    least = min(figures.values())
    shown = {arm: form.format(figures[arm]) if form else minutes(figures[arm]) for arm in arms}
    values = tuple(CriterionValue(arm, name, least / figures[arm], shown[arm]) for arm in arms)
    return _Criterion(values, np.repeat(np.array([v.value for v in values])[:, None], DRAWS, axis=1))


def _freshness(folder: RunFolder, arms: Sequence[str]) -> _Criterion | None:
    """Scores on the changed facts after the cheap update; nothing where that was not measured for every arm."""
    evidence = Evidence(folder, FactsChangeProbe.name)
    stale, indexed = evidence.of(STALE), evidence.of(INDEXED)
    after = {arm: (indexed if arm in READERS else {**stale, **indexed}).get(arm) for arm in arms}
    runs = {arm: run for arm, run in after.items() if run is not None and run.complete}
    if len(runs) < len(arms):
        return None
    scores = {arm: run.values(evidence.metric) for arm, run in runs.items()}
    cases = [case for case in runs[arms[0]].cases if all(case.id in found for found in scores.values())]
    if not cases:
        return None
    table = np.array([[scores[arm][case.id] for case in cases] for arm in arms])
    means = table.mean(axis=1)
    values = tuple(
        CriterionValue(arm, "freshness", float(mean), score(float(mean), is_share=evidence.is_share))
        for arm, mean in zip(arms, means, strict=True)
    )
    counts = DrawnAgain(len(cases), folder.rule().rule.seed + 1, clusters_of(cases))
    return _Criterion(values, counts.means(table))


def _risk(folder: RunFolder, cases: Sequence[str], *, counts: DrawnAgain, arms: Sequence[str]) -> _Criterion:
    """Share of answers that can be used at all."""
    stored, predictions = folder.scenario(), folder.predictions()

    def usable(made: Prediction | None) -> bool:
        if made is None or made.error is not None or not made.text.strip():
            return False
        return fault_of(made.text, kind=Kind(stored.kind), labels=stored.labels, keys=stored.keys) is None

    table = np.array([[usable(predictions.get(arm, {}).get(name)) for name in cases] for arm in arms], dtype=float)
    means = table.mean(axis=1)
    values = tuple(
        CriterionValue(arm, "risk", float(mean), f"{numbers.share(float(mean))} usable")
        for arm, mean in zip(arms, means, strict=True)
    )
    return _Criterion(values, counts.means(table))
