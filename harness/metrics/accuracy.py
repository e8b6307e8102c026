"""Accuracy: is it the right label?"""

from __future__ import annotations

from collections.abc import Sequence

from harness.metrics.base import best
from harness.metrics.labels import fold


def accuracy(answer: str, accepted: Sequence[str]) -> float:
    """1 where the answer is an accepted label; case, separators and wrapping quotes do not count."""
    return best(answer, accepted, lambda given, label: float(fold(given) == fold(label)))
