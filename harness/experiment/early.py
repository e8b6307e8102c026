"""Early stopping: arms answer in shared shards, and one that can no longer win is not asked further.

After each shard every pair of arms is tested by an e-process for "worse by more than the margin"; an e-process may be
looked at any time without raising the error rate (Ville's inequality; Ramdas et al. 2022, arXiv 2210.01948). A fifth of
alpha is spent on it, shared by all ordered pairs. The control is never stopped: it costs nothing. An arm that is tuned
from several seeds is neither stopped nor stops another: while arms answer, only its first seed is known.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.experiment.compare import SPENT_EARLY
from harness.experiment.score import grouped, score_cases
from harness.records import CONTROL, Prediction, Stopped, Usage
from harness.scenario import Case, DecisionRule, Kind
from harness.stats.sequential import e_process
from harness.stats.sequential import stopped as shown_worse

SHARDS = 8
FEWEST_IN_SHARD = 20


@dataclass(frozen=True, slots=True)
class Looker:
    """What is needed to look at the answers so far."""

    rule: DecisionRule
    kind: Kind
    labels: tuple[str, ...]
    arms: tuple[str, ...]
    """All arms that may be stopped and stop others."""
    largest: int = 1
    """Cases of the largest group."""

    def look(
        self, seen: Sequence[Case], predictions: Mapping[str, Mapping[str, Prediction]], *, of: int
    ) -> tuple[Stopped, ...]:
        """Arms that have answered all cases seen and are shown to be worse than another by more than the margin."""
        whole = {arm: found for arm, found in predictions.items() if arm in self.arms and _has_all(found, seen)}
        if len(whole) < 2:
            return ()
        table = score_cases(seen, whole, kind=self.kind, labels=self.labels)
        values = {arm: table.columns[arm].values_of(self.rule.metric) for arm in whole}
        pairs, alpha = len(self.arms) * (len(self.arms) - 1), self.rule.alpha * SPENT_EARLY
        clusters = grouped(seen) if self.largest > 1 else None  # one process throughout, also before a group repeats
        found = shown_worse(
            values, margin=self.rule.margin, alpha=alpha, pairs=pairs, clusters=clusters, largest=self.largest
        )
        return tuple(
            Stopped(arm, by, len(seen), of, self._e_value(values[by] - values[arm], clusters))
            for arm, by in found.items()
        )

    def _e_value(self, differences: NDArray[np.float64], clusters: Sequence[str] | None) -> float:
        margin, largest = self.rule.margin, self.largest
        return float(e_process(differences, margin=margin, clusters=clusters, largest=largest)[-1])


def shards(cases: Sequence[Case], *, seed: int) -> list[tuple[Case, ...]]:
    """The cases in a seeded random order, cut into at most 8 parts of at least 20; a group is never cut."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(f"case {case.id}" if case.group is None else f"group {case.group}", []).append(case)
    order = list(groups.values())
    random.Random(seed).shuffle(order)
    size = max(FEWEST_IN_SHARD, -(-len(cases) // SHARDS))
    parts: list[list[Case]] = [[]]
    for group in order:
        if len(parts[-1]) >= size:
            parts.append([])
        parts[-1] += group
    if len(parts) > 1 and len(parts[-1]) < FEWEST_IN_SHARD:
        rest = parts.pop()
        parts[-1] += rest
    return [tuple(part) for part in parts]


def _has_all(found: Mapping[str, Prediction], seen: Sequence[Case]) -> bool:
    return all(case.id in found for case in seen)


def can_stop(arm: str, *, tuned: bool, seeds: int) -> bool:
    """Whether an arm may be stopped, and stop others: not the control, and no arm whose other seeds are still to come,
    because the first seed alone says too little of it."""
    return arm != CONTROL and not (tuned and seeds > 1)


def without(
    predictions: Mapping[str, Mapping[str, Prediction]], out: Mapping[str, Stopped]
) -> dict[str, Mapping[str, Prediction]]:
    """Predictions of the arms that still take part."""
    return {arm: found for arm, found in predictions.items() if arm not in out}


def saving(one: Stopped, usage: Sequence[Usage]) -> Stopped:
    """What stopping saved: the seconds that the cases left out would have taken at the pace so far."""
    spent = sum(u.seconds for u in usage if u.arm == one.arm and u.stage == "answer")
    return replace(one, seconds_saved=round(spent / one.after * (one.of - one.after), 1))
