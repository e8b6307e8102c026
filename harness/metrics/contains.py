"""Contains: is the right answer in there, whatever stands around it?"""

from __future__ import annotations

from collections.abc import Sequence

from harness.metrics.base import best
from harness.metrics.text import contains_run, tokens


def contains(answer: str, accepted: Sequence[str]) -> float:
    """1 where the reference's words stand in the answer, next to each other and in order.

    It tells facts from form: an arm that knows the fact but wraps it in a sentence scores here and not in exact match.
    """
    return best(answer, accepted, lambda given, reference: float(contains_run(tokens(given), tokens(reference))))
