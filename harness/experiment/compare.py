"""From case scores to comparisons: every pair of arms on the same cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.experiment.score import clusters_of
from harness.metrics.base import Metric
from harness.metrics.registry import metric_named
from harness.records import CaseScore, Comparison
from harness.scenario import Case, DecisionRule
from harness.stats.multiplicity import holm
from harness.stats.paired import mcnemar_exact, paired_intervals, permutation_p


def compare_arms(
    case_scores: Sequence[CaseScore],
    cases: Sequence[Case],
    *,
    rule: DecisionRule,
    metric: str,
    arms: Sequence[str],
) -> tuple[Comparison, ...]:
    """All pairs of `arms`, in their order, each on the cases where both have a value of `metric`.

    Right/wrong metrics are tested by exact McNemar, graded ones and all grouped cases by sign flips; Holm adjusts over
    all pairs. Raises `UserError` for a metric that is unknown or has no value for the single case.
    """
    chosen = metric_named(metric)
    if not chosen.per_case:
        raise UserError(
            f"{chosen.title} exists for all cases together only, so arms cannot be compared by it case by case. "
            "Choose another metric for the decision rule; it is reported all the same."
        )
    scores = {(row.arm, row.case_id): row for row in case_scores}
    pairs = [
        _compare(_shared(scores, cases, metric=chosen.name, arms=pair), metric=chosen, rule=rule, arms=pair)
        for pair in combinations(arms, 2)
    ]
    adjusted = holm([pair.p for pair in pairs])
    return tuple(replace(pair, p_adjusted=float(p)) for pair, p in zip(pairs, adjusted, strict=True))


def seen_from(comparison: Comparison, arm: str) -> Comparison:
    """The same comparison with `arm` first."""
    if comparison.first == arm:
        return comparison
    return replace(
        comparison,
        first=comparison.second,
        second=comparison.first,
        first_failed=comparison.second_failed,
        second_failed=comparison.first_failed,
        difference=-comparison.difference,
        low=-comparison.high,
        high=-comparison.low,
        low_equivalence=-comparison.high_equivalence,
        high_equivalence=-comparison.low_equivalence,
        first_only=comparison.second_only,
        second_only=comparison.first_only,
    )


@dataclass(frozen=True, slots=True)
class _Shared:
    """Two arms' rows on the cases that both have, in the same order."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    failed: tuple[int, int]
    clusters: tuple[str, ...] | None


def _shared(
    scores: dict[tuple[str, str], CaseScore], cases: Sequence[Case], *, metric: str, arms: tuple[str, str]
) -> _Shared:
    rows = [(case, [scores.get((arm, case.id)) for arm in arms]) for case in cases]
    kept = [(case, a, b) for case, (a, b) in rows if a and b and metric in a.values and metric in b.values]
    return _Shared(
        first=np.array([a.values[metric] for _, a, _ in kept], dtype=float),
        second=np.array([b.values[metric] for _, _, b in kept], dtype=float),
        failed=(sum(a.failed for _, a, _ in kept), sum(b.failed for _, _, b in kept)),
        clusters=clusters_of([case for case, _, _ in kept]),
    )


def _compare(shared: _Shared, *, metric: Metric, rule: DecisionRule, arms: tuple[str, str]) -> Comparison:
    differences = shared.first - shared.second
    if not len(differences):
        return _nothing_shared(metric.name, arms)
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
