"""The arms under several criteria at once: quality, cost, latency, freshness, risk, weighed as the client weighs them.

Each criterion becomes a value of 0..1, more is better: quality is the rule's metric; cost and latency are the cheapest
(fastest) arm's figure over the arm's own; freshness is the score on changed facts after the cheap update (a new index,
no training), from the experiment `facts_change`; risk is the share of answers that can be used at all. A criterion that
was weighed and not measured is left out, and that is said. The probability of being best joins the paired bootstrap
over cases with Dirichlet weights (T. Ferguson, Ann. Stat. 1, 1973, for the distribution; N. Lahdelma et al., EJOR 106,
1998, for acceptability under uncertain weights).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from harness.experiment.decide import request_cost
from harness.experiment.probes.facts_change import INDEXED, STALE, FactsChangeProbe
from harness.experiment.probes.read import Evidence
from harness.experiment.probes.words import minutes, score
from harness.experiment.score import NO_SEEDS, FurtherSeeds, by_seed, clusters_of
from harness.experiment.wording import share
from harness.metrics.registry import metric_named
from harness.metrics.usable import fault_of
from harness.records import CONTROL, CaseScore, Cost, CriterionValue, Reversal, Standing
from harness.scenario import Criteria, Kind
from harness.stats.criteria import probability_best, rank_reversals
from harness.stats.paired import resampled_weights
from harness.store import RunFolder

DRAWS = 4_000
CONCENTRATION = 20.0
"""How sure the weights are: with 20, a weight of 50 % lies between 29 and 71 % in 19 of 20 draws."""


def standing(
    folder: RunFolder,
    case_scores: Sequence[CaseScore],
    costs: Sequence[Cost],
    *,
    arms: Sequence[str],
    seeds: FurtherSeeds = NO_SEEDS,
) -> Standing | None:
    """The arms, the control left out, under the scenario's criteria; None where it weighs none or fewer than two arms
    took part."""
    weighed = folder.scenario().criteria
    answering = {score.arm for score in case_scores if not score.failed}
    shown = tuple(arm for arm in arms if arm != CONTROL and arm in answering)
    if weighed is None or len(shown) < 2:
        return None
    values, quality = _values(folder, case_scores, {c.arm: c for c in costs}, arms=shown, weighed=weighed, seeds=seeds)
    weights = {name: w for name, w in asdict(weighed).items() if w > 0 and name in values}
    if not weights:
        return None
    table = {name: np.array([v.value for v in values[name]]) for name in weights}
    draws = {
        name: quality if name == "quality" else np.repeat(column[:, None], DRAWS, axis=1)
        for name, column in table.items()
    }
    seed = folder.rule().rule.seed
    sure = probability_best(draws, weights, concentration=CONCENTRATION, draws=DRAWS, seed=seed)
    unsure = probability_best(
        draws, dict.fromkeys(weights, 1.0), concentration=float(len(weights)), draws=DRAWS, seed=seed
    )
    total = sum(weights.values())
    totals = {arm: sum(w * table[n][i] for n, w in weights.items()) / total for i, arm in enumerate(shown)}
    return Standing(
        weights,
        tuple(v for name in weights for v in values[name]),
        {arm: float(value) for arm, value in totals.items()},
        dict(zip(shown, map(float, sure), strict=True)),
        dict(zip(shown, map(float, unsure), strict=True)),
        tuple(_reversals(table, weights, shown)),
        tuple(name for name, w in asdict(weighed).items() if w > 0 and name not in values),
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


def _values(
    folder: RunFolder,
    case_scores: Sequence[CaseScore],
    costs: Mapping[str, Cost],
    *,
    arms: Sequence[str],
    weighed: Criteria,
    seeds: FurtherSeeds,
) -> tuple[dict[str, list[CriterionValue]], NDArray[np.float64]]:
    """Criterion -> value of each arm, where it was measured for all; and the resampled quality, (arms, draws)."""
    rule, cases = folder.rule().rule, folder.cases()
    is_share = metric_named(rule.metric).right_or_wrong
    by_case = {(s.arm, s.case_id): s.values.get(rule.metric, 0.0) for s in case_scores}
    kept = [c for c in cases if all((arm, c.id) in by_case for arm in arms)]
    counts = np.concatenate(
        list(resampled_weights(len(kept), resamples=DRAWS, seed=rule.seed, clusters=clusters_of(kept)))
    )
    rng = np.random.default_rng([rule.seed, 2])
    means, drawn = [], []
    for arm in arms:  # (seeds, cases): cases and seeds are both drawn again
        table = by_seed([by_case[arm, c.id] for c in kept], seeds.get(arm, ()), metric=rule.metric, cases=kept)
        by_draw = (table @ counts.T) / counts.sum(axis=1)
        picked = rng.integers(0, len(table), (len(table), DRAWS))
        means.append(float(table.mean()))
        drawn.append(np.take_along_axis(by_draw, picked, axis=0).mean(axis=0))
    quality = np.array(drawn)
    found = {
        "quality": [
            CriterionValue(a, "quality", v, score(v, is_share=is_share)) for a, v in zip(arms, means, strict=True)
        ]
    }
    found |= _ratio("cost", {a: request_cost(costs[a]) for a in arms if a in costs}, arms, "{:,.0f} tokens")
    seconds = {a: p50 for a in arms if a in costs and (p50 := costs[a].latency_p50)}
    found |= _ratio("latency", seconds, arms, "")
    found |= _freshness(folder, arms) if weighed.freshness else {}
    found |= _risk(folder, arms) if weighed.risk else {}
    return found, quality


def _ratio(name: str, figures: Mapping[str, float], arms: Sequence[str], form: str) -> dict[str, list[CriterionValue]]:
    """The least figure over each arm's own; nothing where an arm has none."""
    if any(figures.get(arm, 0.0) <= 0 for arm in arms):
        return {}
    least = min(figures.values())
    shown = {arm: form.format(figures[arm]) if form else minutes(figures[arm]) for arm in arms}
    return {name: [CriterionValue(arm, name, least / figures[arm], shown[arm]) for arm in arms]}


def _freshness(folder: RunFolder, arms: Sequence[str]) -> dict[str, list[CriterionValue]]:
    evidence = Evidence(folder, FactsChangeProbe.name)
    after = {**evidence.of(STALE), **evidence.of(INDEXED)}
    if any(arm not in after for arm in arms):
        return {}
    found = []
    for arm in arms:
        values = after[arm].values(evidence.metric)
        mean = sum(values.values()) / max(1, len(values))
        found.append(CriterionValue(arm, "freshness", mean, score(mean, is_share=evidence.is_share)))
    return {"freshness": found}


def _risk(folder: RunFolder, arms: Sequence[str]) -> dict[str, list[CriterionValue]]:
    stored, predictions = folder.scenario(), folder.predictions()
    found = []
    for arm in arms:
        made = list(predictions.get(arm, {}).values())
        good = [
            p.error is None
            and bool(p.text.strip())
            and fault_of(p.text, kind=Kind(stored.kind), labels=stored.labels, keys=stored.keys) is None
            for p in made
        ]
        part = sum(good) / max(1, len(good))
        found.append(CriterionValue(arm, "risk", part, f"{share(part)} usable"))
    return {"risk": found}
