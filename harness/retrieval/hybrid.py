"""Several rankings made one by reciprocal rank fusion."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

SMOOTHING = 60
"""The constant of Cormack, Clarke and Buettcher 2009, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank
Learning Methods" (SIGIR): score = sum over the rankings of 1 / (60 + rank), ranks from 1."""

DEPTH = 100
"""Places of each ranking that take part."""


def fused(rankings: Sequence[Sequence[int]]) -> list[int]:
    """All that some ranking names, best first; of equals the one that the first rankings name first."""
    scores: dict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, position in enumerate(ranking, start=1):
            scores[position] += 1 / (SMOOTHING + rank)
    return sorted(scores, key=lambda position: -scores[position])
