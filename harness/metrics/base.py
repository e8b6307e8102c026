"""What a metric is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.scenario import Kind

CaseMetric: TypeAlias = Callable[[str, Sequence[str]], float]
"""(parsed answer, accepted references) -> 0..1, the best over the references."""

SetMetric: TypeAlias = Callable[[Sequence[str], Sequence[str], NDArray[np.int64]], NDArray[np.float64]]
"""(parsed answers, expected answers, weights) -> one value in 0..1 a row of weights.

Weights have shape (rows, cases) and say how often a case counts, so that all resamples are scored in one call.
"""


@dataclass(frozen=True, slots=True)
class Metric:
    """A way of scoring. At most one of `score` and `aggregate` is set; with neither it is read from `Measurement`s."""

    name: str
    title: str
    right_or_wrong: bool
    """A case scores 0 or 1, nothing between."""
    kinds: frozenset[Kind]
    score: CaseMetric | None
    explanation: str
    """One sentence for a reader who has never met the metric."""
    aggregate: SetMetric | None = None
    """Set where the metric exists for all cases together only, such as macro F1. It cannot decide a bake-off."""
    needs_context: bool = False
    """Measured only on cases whose `context_id` is known; the others are no part of its mean."""

    @property
    def per_case(self) -> bool:
        """Whether every case has its own value, so that arms can be compared case by case."""
        return self.aggregate is None


def best(answer: str, accepted: Sequence[str], score: Callable[[str, str], float]) -> float:
    """The best of `score(answer, reference)` over all references.

    An empty answer is right only where a reference is empty too, that is where saying nothing is the right answer.
    """
    if not answer.strip():
        return float(any(not reference.strip() for reference in accepted))
    return max((score(answer, reference) for reference in accepted if reference.strip()), default=0.0)
