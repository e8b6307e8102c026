"""From predictions to scores: of each case, and of each arm.

Only files' contents come in, and no model library is needed, so scores can be made again at any time. A failure is
data: a missing prediction, an error or an empty answer scores 0, is counted, and never drops out of a mean.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.metrics.answer import parse_answer
from harness.metrics.base import Metric
from harness.metrics.labels import fold, same_label
from harness.metrics.registry import metrics_for
from harness.records import ArmScore, CaseScore, Measurement, Prediction
from harness.scenario import Case, DecisionRule, Kind
from harness.stats.paired import Interval, mean_interval, resampled_weights
from harness.stats.seeds import mean_interval_with_seeds

FurtherSeeds: TypeAlias = Mapping[str, Sequence[Mapping[str, CaseScore]]]
"""Arm -> for each training seed beside the first, case id -> score."""

NO_SEEDS: FurtherSeeds = MappingProxyType({})

MOST_AGGREGATE_RESAMPLES = 2_000
"""Enough for the interval of a metric that informs and does not decide."""


@dataclass(frozen=True, slots=True)
class _Scorer:
    """What is the same for all arms and cases."""

    kind: Kind
    labels: tuple[str, ...]
    metrics: tuple[Metric, ...]
    measured: dict[tuple[str, str], dict[str, float]]
    """(arm, metric) -> case -> value."""

    def score(self, case: Case, arm: str, prediction: Prediction | None) -> CaseScore:
        broken = prediction is None or prediction.error is not None
        text = "" if prediction is None or broken else prediction.text
        answer = parse_answer(text, kind=self.kind, labels=self.labels)
        accepted = _accepted(case, kind=self.kind, labels=self.labels)
        # Saying nothing can be right, but only on purpose.
        silent = not answer and (broken or all(reference.strip() for reference in accepted))
        values = {m.name: 0.0 if silent else _share(m.score(answer, accepted)) for m in self.metrics if m.score}
        values.update(self._measured(case, arm, silent=silent))
        return CaseScore(case.id, arm, answer, silent, values)

    def _measured(self, case: Case, arm: str, *, silent: bool) -> Iterator[tuple[str, float]]:
        for metric in self.metrics:
            found = self.measured.get((arm, metric.name))
            if not found or (metric.needs_context and case.context_id is None):
                continue
            # What was retrieved stands, whether or not an answer came of it.
            lost = silent and not metric.needs_context
            yield metric.name, 0.0 if lost else _share(found.get(case.id, 0.0))


def score_cases(
    cases: Sequence[Case],
    predictions: Mapping[str, Mapping[str, Prediction]],
    measurements: Sequence[Measurement] = (),
    *,
    kind: Kind,
    labels: Sequence[str] = (),
) -> tuple[CaseScore, ...]:
    """Every arm's score on every case, arm by arm, cases in their order.

    `predictions` is arm -> case id -> prediction; arms take part by being a key of it, with however few predictions.
    Raises `UserError` where an installed metric cannot be loaded.
    """
    metrics = metrics_for(kind)
    by_name = {metric.name for metric in metrics if metric.score is None and metric.per_case}
    measured: dict[tuple[str, str], dict[str, float]] = {}
    for found in measurements:
        if found.name in by_name:
            measured.setdefault((found.arm, found.name), {})[found.case_id] = found.value
    scorer = _Scorer(kind, tuple(labels), metrics, measured)
    return tuple(scorer.score(case, arm, given.get(case.id)) for arm, given in predictions.items() for case in cases)


def arm_scores(
    case_scores: Sequence[CaseScore],
    cases: Sequence[Case],
    *,
    rule: DecisionRule,
    kind: Kind,
    labels: Sequence[str] = (),
    seeds: FurtherSeeds = NO_SEEDS,
) -> tuple[ArmScore, ...]:
    """Every arm's mean on every metric of this kind with its interval, metric by metric in the registry's order.

    A metric that was not measured for an arm has no entry. `n` is the number of cases the metric applies to. Where an
    arm was trained from further seeds, its mean is over them too, and the interval holds what seeds and cases add; its
    failures are the mean over seeds, rounded up (`failed_cases`).
    """
    rows: dict[str, list[CaseScore]] = {}
    for row in case_scores:
        rows.setdefault(row.arm, []).append(row)
    found = (
        _arm_score(
            arm,
            own,
            metric,
            cases=cases,
            rule=rule,
            labels=labels if kind is Kind.LABELS else (),
            more=seeds.get(arm, ()),
        )
        for metric in metrics_for(kind)
        for arm, own in rows.items()
    )
    return tuple(score for score in found if score is not None)


def clusters_of(cases: Sequence[Case]) -> tuple[str, ...] | None:
    """Each case's cluster, or None where every case stands for itself. A case without group is its own cluster."""
    groups = [case.group for case in cases if case.group is not None]
    return None if len(set(groups)) == len(groups) else grouped(cases)


def grouped(cases: Sequence[Case]) -> tuple[str, ...]:
    """Each case's cluster. A case without group is its own."""
    return tuple(f"case {case.id}" if case.group is None else f"group {case.group}" for case in cases)


def largest_group(cases: Sequence[Case]) -> int:
    """Cases of the largest group; 1 where every case stands alone."""
    return max(Counter(case.group for case in cases if case.group is not None).values(), default=1)


def _arm_score(
    arm: str,
    own: Sequence[CaseScore],
    metric: Metric,
    *,
    cases: Sequence[Case],
    rule: DecisionRule,
    labels: Sequence[str],
    more: Sequence[Mapping[str, CaseScore]] = (),
) -> ArmScore | None:
    by_case = {row.case_id: row for row in own}
    rows = [by_case[case.id] for case in cases if case.id in by_case]
    used = [row for row in rows if metric.name in row.values or not metric.per_case]
    if not used:
        return None
    kept = {row.case_id for row in used}
    its_cases = [case for case in cases if case.id in kept]
    if metric.per_case:
        interval = _mean(used, metric, cases=its_cases, rule=rule, more=more)
    else:
        interval = _aggregate(used, metric, cases=its_cases, rule=rule, labels=labels)
    failed = failed_cases([row.failed for row in used], more, cases=its_cases)
    return ArmScore(arm, metric.name, interval.estimate, interval.low, interval.high, len(used), failed)


def failed_cases(first: Sequence[bool], more: Sequence[Mapping[str, CaseScore]], *, cases: Sequence[Case]) -> int:
    """How many of these cases failed: the mean over training seeds, rounded up.

    All of them only where no seed answered any, so that an arm is not taken for silent because one training failed.
    """
    counts = [sum(first)]
    counts += [sum(seed[case.id].failed for case in cases) for seed in more if all(case.id in seed for case in cases)]
    answered = any(count < len(cases) for count in counts)
    return min(len(cases) - answered, -(-sum(counts) // len(counts)))


def by_seed(
    values: Sequence[float], more: Sequence[Mapping[str, CaseScore]], *, metric: str, cases: Sequence[Case]
) -> NDArray[np.float64]:
    """(seeds, cases): `values` of the first seed, then of each further seed that has all of these cases."""
    rows = [list(values)]
    for seed in more:
        found = [seed[case.id].values.get(metric) if case.id in seed else None for case in cases]
        if all(value is not None for value in found):
            rows.append([float(value or 0.0) for value in found])
    return np.array(rows, dtype=float)


def _mean(
    rows: Sequence[CaseScore],
    metric: Metric,
    *,
    cases: Sequence[Case],
    rule: DecisionRule,
    more: Sequence[Mapping[str, CaseScore]],
) -> Interval:
    seeds = by_seed([row.values[metric.name] for row in rows], more, metric=metric.name, cases=cases)
    if len(seeds) > 1:
        return mean_interval_with_seeds(
            seeds,
            alpha=rule.alpha,
            right_or_wrong=metric.right_or_wrong,
            resamples=rule.resamples,
            seed=rule.seed,
            clusters=clusters_of(cases),
        )
    return mean_interval(
        [row.values[metric.name] for row in rows],
        alpha=rule.alpha,
        right_or_wrong=metric.right_or_wrong,
        resamples=rule.resamples,
        seed=rule.seed,
        clusters=clusters_of(cases),
    )


def _aggregate(
    rows: Sequence[CaseScore], metric: Metric, *, cases: Sequence[Case], rule: DecisionRule, labels: Sequence[str]
) -> Interval:
    """Value over all cases; percentile interval over resampled cases."""
    assert metric.aggregate is not None
    answers = [row.answer for row in rows]
    expected = [_expected(row.answer, case, labels) for row, case in zip(rows, cases, strict=True)]
    value = float(metric.aggregate(answers, expected, np.ones((1, len(rows)), dtype=np.int64))[0])
    chunks = resampled_weights(
        len(rows),
        resamples=min(rule.resamples, MOST_AGGREGATE_RESAMPLES),
        seed=rule.seed,
        clusters=clusters_of(cases),
    )
    drawn = np.concatenate([metric.aggregate(answers, expected, weights) for weights in chunks])
    low, high = np.quantile(drawn, [rule.alpha / 2, 1 - rule.alpha / 2])
    return Interval(value, min(value, float(low)), max(value, float(high)))


def _accepted(case: Case, *, kind: Kind, labels: Sequence[str]) -> tuple[str, ...]:
    """The right answers in the spelling the parser gives to answers."""
    if kind is not Kind.LABELS:
        return case.accepted
    return tuple(same_label(reference, labels) or reference for reference in case.accepted)


def _expected(answer: str, case: Case, labels: Sequence[str]) -> str:
    """The one label that an aggregate counts the case under: the one given, if it is accepted, else the first."""
    accepted = _accepted(case, kind=Kind.LABELS, labels=labels)
    return next((label for label in accepted if fold(label) == fold(answer)), accepted[0])


def _share(value: float) -> float:
    """Held to 0..1; not a number is 0."""
    return 0.0 if math.isnan(value) else min(1.0, max(0.0, value))
