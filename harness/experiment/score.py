"""From predictions to scores: of each case, and of each arm.

Only files' contents come in, and no model library is needed, so scores can be made again at any time. A failure is
data: a missing prediction, an error or an empty answer scores 0, is counted, and never drops out of a mean.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
from harness.score_table import Column, Places, Roll, ScoreTable, column_of, table_of
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
    measured: dict[tuple[str, str], NDArray[np.float64]]
    """(arm, metric) -> values by place."""

    def score(
        self, case: Case, place: int, *, arm: str, prediction: Prediction | None
    ) -> tuple[str, bool, dict[str, float]]:
        """The parsed answer, whether it failed, and metric -> value."""
        broken = prediction is None or prediction.error is not None
        answer = parsed(prediction, kind=self.kind, labels=self.labels)
        accepted = _accepted(case, kind=self.kind, labels=self.labels)
        # Saying nothing can be right, but only on purpose.
        silent = not answer and (broken or all(reference.strip() for reference in accepted))
        values = {m.name: 0.0 if silent else _share(m.score(answer, accepted)) for m in self.metrics if m.score}
        values.update(self._measured(case, place, arm=arm, silent=silent))
        return answer, silent, values

    def _measured(self, case: Case, place: int, *, arm: str, silent: bool) -> Iterator[tuple[str, float]]:
        for metric in self.metrics:
            found = self.measured.get((arm, metric.name))
            if found is None or (metric.needs_context and case.context_id is None):
                continue
            # What was retrieved stands, whether or not an answer came of it.
            lost = silent and not metric.needs_context
            yield metric.name, 0.0 if lost else _share(found[place])


def score_cases(
    cases: Sequence[Case],
    predictions: Mapping[str, Mapping[str, Prediction]],
    measurements: Iterable[Measurement] = (),
    *,
    kind: Kind,
    labels: Sequence[str] = (),
    stopped: Collection[str] = (),
) -> ScoreTable:
    """Every arm's score on every case, arm by arm, cases in their order.

    `predictions` is arm -> case id -> prediction; arms take part by being a key of it, with however few predictions.
    Arms that were `stopped` are scored on the cases that they answered only. Raises `UserError` where an installed
    metric cannot be loaded.
    """
    metrics, roll = metrics_for(kind), Roll(cases)
    scorer = _Scorer(kind, tuple(labels), metrics, _measured(measurements, metrics, roll))
    columns = {}
    for arm, given in predictions.items():
        answers = _Answers(cases, given, kind=kind, labels=tuple(labels))
        columns[arm] = made = Column(arm, roll, answers)
        for place, case in enumerate(cases):
            prediction = given.get(case.id)
            if prediction is not None or arm not in stopped:
                answer, failed, values = scorer.score(case, place, arm=arm, prediction=prediction)
                answers.note(place, answer)
                made.put(place, failed=failed, values=values)
    return ScoreTable(roll, columns)


def _measured(
    measurements: Iterable[Measurement], metrics: Sequence[Metric], roll: Roll
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """(arm, metric) -> values on all cases; not a number where a case was not measured."""
    by_name = {metric.name for metric in metrics if metric.score is None and metric.per_case}
    measured: dict[tuple[str, str], NDArray[np.float64]] = {}
    for found in measurements:
        place = roll.place.get(found.case_id)
        if found.name in by_name and place is not None:
            key = (found.arm, found.name)
            if key not in measured:
                measured[key] = np.full(len(roll), np.nan)
            measured[key][place] = found.value
    return measured


class _Answers:
    """An arm's parsed answers: labels are held, of which there are few; others are parsed again when asked for."""

    def __init__(
        self, cases: Sequence[Case], given: Mapping[str, Prediction], *, kind: Kind, labels: tuple[str, ...]
    ) -> None:
        self._cases, self._given, self._kind, self._labels = cases, given, kind, labels
        self._held = [""] * (len(cases) if kind is Kind.LABELS else 0)
        self._alike: dict[str, str] = {}

    def note(self, place: int, answer: str) -> None:
        """A case's answer."""
        if self._held:
            self._held[place] = self._alike.setdefault(answer, answer)

    def __call__(self, place: int) -> str:
        if self._held:
            return self._held[place]
        return parsed(self._given.get(self._cases[place].id), kind=self._kind, labels=self._labels)


def parsed(prediction: Prediction | None, *, kind: Kind, labels: Sequence[str]) -> str:
    """The answer in a prediction; empty where there is none."""
    broken = prediction is None or prediction.error is not None
    return parse_answer("" if prediction is None or broken else prediction.text, kind=kind, labels=tuple(labels))


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
    table = table_of(case_scores, cases)
    further = further_columns(seeds, table.roll)
    expected = labels if kind is Kind.LABELS else ()
    found = (
        _arm_score(table.columns[arm], metric, cases=cases, rule=rule, labels=expected, more=further.get(arm, ()))
        for metric in metrics_for(kind)
        for arm in table.arms
    )
    return tuple(score for score in found if score is not None)


def further_columns(seeds: FurtherSeeds, roll: Roll) -> dict[str, tuple[Column, ...]]:
    """Arm -> its further seeds' scores on these cases."""
    return {
        arm: tuple(
            one.along(roll) if isinstance(one, Column) else column_of(arm, one.values(), roll) for one in further
        )
        for arm, further in seeds.items()
    }


def clusters_of(cases: Sequence[Case]) -> tuple[str, ...] | None:
    """Each case's cluster, or None where every case stands for itself. A case without group is its own cluster."""
    roll = Roll(cases)
    return roll.clusters(np.arange(len(roll)))


def grouped(cases: Sequence[Case]) -> tuple[str, ...]:
    """Each case's cluster. A case without group is its own."""
    roll = Roll(cases)
    return roll.grouped(np.arange(len(roll)))


def largest_group(cases: Sequence[Case]) -> int:
    """Cases of the largest group; 1 where every case stands alone."""
    return max(Counter(case.group for case in cases if case.group is not None).values(), default=1)


def _arm_score(
    own: Column,
    metric: Metric,
    *,
    cases: Sequence[Case],
    rule: DecisionRule,
    labels: Sequence[str],
    more: Sequence[Column] = (),
) -> ArmScore | None:
    at = np.flatnonzero(own.there & ~np.isnan(own.values_of(metric.name))) if metric.per_case else own.places
    if not len(at):
        return None
    if metric.per_case:
        interval = _mean(own, metric, at=at, rule=rule, more=more)
    else:
        interval = _aggregate(own, metric, cases=cases, at=at, rule=rule, labels=labels)
    failed = failed_cases(own, more, at=at)
    return ArmScore(own.arm, metric.name, interval.estimate, interval.low, interval.high, len(at), failed)


def failed_cases(first: Column, more: Sequence[Column], *, at: Places) -> int:
    """How many of these cases failed: the mean over training seeds, rounded up.

    All of them only where no seed answered any, so that an arm is not taken for silent because one training failed.
    """
    counts = [int(first.failed[at].sum())]
    counts += [int(seed.failed[at].sum()) for seed in more if seed.there[at].all()]
    answered = any(count < len(at) for count in counts)
    return min(len(at) - answered, -(-sum(counts) // len(counts)))


def by_seed(first: Column, more: Sequence[Column], *, metric: str, at: Places) -> NDArray[np.float64]:
    """(seeds, cases): values of the first seed at these places, then of each further seed that has all of them."""
    further = (seed.values_of(metric)[at] for seed in more)
    return np.array([first.values_of(metric)[at], *(found for found in further if not np.isnan(found).any())])


def _mean(own: Column, metric: Metric, *, at: Places, rule: DecisionRule, more: Sequence[Column]) -> Interval:
    seeds = by_seed(own, more, metric=metric.name, at=at)
    if len(seeds) > 1:
        return mean_interval_with_seeds(
            seeds,
            alpha=rule.alpha,
            right_or_wrong=metric.right_or_wrong,
            resamples=rule.resamples,
            seed=rule.seed,
            clusters=own.roll.clusters(at),
        )
    return mean_interval(
        seeds[0],
        alpha=rule.alpha,
        right_or_wrong=metric.right_or_wrong,
        resamples=rule.resamples,
        seed=rule.seed,
        clusters=own.roll.clusters(at),
    )


def _aggregate(
    own: Column, metric: Metric, *, cases: Sequence[Case], at: Places, rule: DecisionRule, labels: Sequence[str]
) -> Interval:
    """Value over these cases; percentile interval over resampled cases."""
    assert metric.aggregate is not None
    answers = [own.answer(place) for place in at]
    expected = [_expected(answer, cases[place], labels) for answer, place in zip(answers, at, strict=True)]
    value = float(metric.aggregate(answers, expected, np.ones((1, len(at)), dtype=np.int64))[0])
    chunks = resampled_weights(
        len(at),
        resamples=min(rule.resamples, MOST_AGGREGATE_RESAMPLES),
        seed=rule.seed,
        clusters=own.roll.clusters(at),
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
    return 0.0 if math.isnan(value) else min(1.0, max(0.0, float(value)))
