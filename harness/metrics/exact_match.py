"""Exact match: is it the same answer, word by word?"""

from __future__ import annotations

from collections.abc import Sequence

from harness.metrics.base import best
from harness.metrics.text import tokens


def exact_match(answer: str, accepted: Sequence[str]) -> float:
    """1 where answer and reference have the same words after SQuAD's normalisation (see `harness.metrics.text`)."""
    return best(answer, accepted, lambda given, reference: float(tokens(given) == tokens(reference)))
