"""From case scores to comparisons: every pair of arms on the same cases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.experiment.score import NO_SEEDS, FurtherSeeds, by_seed, failed_cases, further_columns, largest_group
from harness.metrics.base import Metric
from harness.metrics.registry import metric_named
from harness.records import CaseScore, Comparison
from harness.scenario import Case, DecisionRule
from harness.score_table import Column, Places, Roll, ScoreTable, table_of
from harness.stats.multiplicity import holm
from harness.stats.paired import mcnemar_exact, paired_intervals, permutation_p
from harness.stats.seeds import p_with_seeds, paired_intervals_with_seeds, spread
from harness.stats.sequential import e_process


def compare_arms(
    case_scores: Sequence[CaseScore],
    cases: Sequence[Case],
    *,
    rule: DecisionRule,
    metric: str,
    arms: Sequence[str],
    seeds: FurtherSeeds = NO_SEEDS,
    stopped: frozenset[str] | None = None,
) -> tuple[Comparison, ...]:
    """All pairs of `arms`, in their order, each on the cases where both have a value of `metric`.

    Right/wrong metrics are tested by exact McNemar, graded ones and all grouped cases by sign flips; pairs with an arm
    that was trained from several seeds by the larger of that and a t test that counts seeds and cases as random. Holm
    adjusts over all pairs.

    `stopped`: arms that were stopped early; None where no arm could have been. Their pairs are tested by an e-process,
    which may be looked at any time, and all adjusted p-values are raised by what looking early spent of alpha.

    Raises `UserError` for a metric that is unknown or has no value for the single case.
    """
    chosen = metric_named(metric)
    if not chosen.per_case:
        raise UserError(
            f"{chosen.title} exists for all cases together only, so arms cannot be compared by it case by case. "
            "Choose another metric for the decision rule; it is reported all the same."
        )
    table, largest = table_of(case_scores, cases), largest_group(cases)
    further = further_columns(seeds, table.roll)
    pairs = []
    for pair in combinations(arms, 2):
        shared = _shared(table, metric=chosen.name, arms=pair, more=further)
        found = _compare(shared, metric=chosen, rule=rule, arms=pair)
        early = stopped and set(pair) & stopped and found.n
        pairs.append(_looked_at(found, shared, largest=largest) if early else found)
    adjusted = holm([pair.p for pair in pairs])
    if stopped is not None:  # part of alpha was spent on looking early
        adjusted = np.minimum(1.0, adjusted / (1 - SPENT_EARLY))
    return tuple(replace(pair, p_adjusted=float(p)) for pair, p in zip(pairs, adjusted, strict=True))


SPENT_EARLY = 0.2
"""Share of alpha that is spent on stopping arms early; the rest is left for the comparisons at the end."""


@dataclass(frozen=True, slots=True)
class _Shared:
    """Two arms' rows on the cases that both have, in the same order."""

    first: NDArray[np.float64]
    """(seeds, cases); one row for an arm without further seeds."""
    second: NDArray[np.float64]
    failed: tuple[int, int]
    roll: Roll
    at: Places
    """Where these cases stand on the roll."""

    @property
    def clusters(self) -> tuple[str, ...] | None:
        """Each case's cluster; None where every case stands for itself."""
        return self.roll.clusters(self.at)

    @property
    def differences(self) -> NDArray[np.float64]:
        """(seeds, cases): first minus second, seed by seed where both have several."""
        seeds = min((len(side) for side in (self.first, self.second) if len(side) > 1), default=1)
        sides = [side[:seeds] if len(side) > 1 else side for side in (self.first, self.second)]
        return sides[0] - sides[1]


def _shared(table: ScoreTable, *, metric: str, arms: tuple[str, str], more: Mapping[str, Sequence[Column]]) -> _Shared:
    nothing = Column("", table.roll, str)
    one, other = (table.columns.get(arm, nothing) for arm in arms)
    at = np.flatnonzero(~np.isnan(one.values_of(metric)) & ~np.isnan(other.values_of(metric)))
    further = [more.get(arm, ()) for arm in arms]
    return _Shared(
        first=by_seed(one, further[0], metric=metric, at=at),
        second=by_seed(other, further[1], metric=metric, at=at),
        failed=(failed_cases(one, further[0], at=at), failed_cases(other, further[1], at=at)),
        roll=table.roll,
        at=at,
    )


def _compare(shared: _Shared, *, metric: Metric, rule: DecisionRule, arms: tuple[str, str]) -> Comparison:
    by_seeds = shared.differences
    if not by_seeds.shape[1]:
        return _nothing_shared(metric.name, arms)
    if len(by_seeds) > 1:
        return _compare_seeds(shared, metric=metric, rule=rule, arms=arms)
    differences = by_seeds[0]
    inside, equivalence = paired_intervals(
        differences,
        alphas=(rule.alpha, 2 * rule.alpha),
        resamples=rule.resamples,
        seed=rule.seed,
        clusters=shared.clusters,
    )
    first_only, second_only = int((differences > 0).sum()), int((differences < 0).sum())
    p, method = _test(differences, shared.clusters, right_or_wrong=metric.right_or_wrong, rule=rule)
    return Comparison(
        metric=metric.name,
        first=arms[0],
        second=arms[1],
        n=len(differences),
        first_failed=shared.failed[0],
        second_failed=shared.failed[1],
        difference=inside.estimate,
        low=inside.low,
        high=inside.high,
        low_equivalence=equivalence.low,
        high_equivalence=equivalence.high,
        p=p,
        p_adjusted=p,
        method=method,
        first_only=first_only if metric.right_or_wrong else None,
        second_only=second_only if metric.right_or_wrong else None,
        clusters=None if shared.clusters is None else len(set(shared.clusters)),
    )


def _looked_at(found: Comparison, shared: _Shared, *, largest: int) -> Comparison:
    """The pair's p from an e-process: p = 1 / e holds whenever one looks (Ville's inequality), two-sided by the mean of
    both directions' e-values. With several seeds the p over seeds and cases stands where it is larger."""
    differences = shared.differences.mean(axis=0)
    # Bets are on the scale of the largest group of all cases, as while arms answered; then their order does not matter.
    groups = shared.roll.grouped(shared.at) if largest > 1 else None
    both = [float(e_process(sign * differences, clusters=groups, largest=largest)[-1]) for sign in (1.0, -1.0)]
    p = min(1.0, 2.0 / max(sum(both), 1e-300))
    p = max(p, found.p) if len(shared.differences) > 1 else p
    return replace(found, p=p, p_adjusted=p, method="e-process (stopped early)", first_only=None, second_only=None)


def _compare_seeds(shared: _Shared, *, metric: Metric, rule: DecisionRule, arms: tuple[str, str]) -> Comparison:
    differences = shared.differences
    inside, equivalence = paired_intervals_with_seeds(
        differences,
        alphas=(rule.alpha, 2 * rule.alpha),
        resamples=rule.resamples,
        seed=rule.seed,
        clusters=shared.clusters,
    )
    p = p_with_seeds(differences, resamples=rule.resamples, seed=rule.seed, clusters=shared.clusters)
    grouped = ", clustered" if shared.clusters else ""
    return Comparison(
        metric=metric.name,
        first=arms[0],
        second=arms[1],
        n=differences.shape[1],
        first_failed=shared.failed[0],
        second_failed=shared.failed[1],
        difference=inside.estimate,
        low=inside.low,
        high=inside.high,
        low_equivalence=equivalence.low,
        high_equivalence=equivalence.high,
        p=p,
        p_adjusted=p,
        method=f"permutation and t over {len(differences)} seeds{grouped}",
        clusters=None if shared.clusters is None else len(set(shared.clusters)),
        seed_error=_or_none(spread(differences, clusters=shared.clusters).seed_error),
    )


def _or_none(error: float) -> float:
    return 0.0 if math.isnan(error) else error


def _test(
    differences: NDArray[np.float64], clusters: tuple[str, ...] | None, *, right_or_wrong: bool, rule: DecisionRule
) -> tuple[float, str]:
    if right_or_wrong and clusters is None:
        return mcnemar_exact(int((differences > 0).sum()), int((differences < 0).sum())), "exact McNemar"
    p = permutation_p(differences, resamples=rule.resamples, seed=rule.seed, clusters=clusters)
    return p, "permutation" if clusters is None else "permutation, clustered"


def _nothing_shared(metric: str, arms: tuple[str, str]) -> Comparison:
    """No case in common: nothing is known and nothing is significant."""
    return Comparison(metric, *arms, 0, 0, 0, 0.0, -1.0, 1.0, -1.0, 1.0, 1.0, 1.0, "no shared case")
