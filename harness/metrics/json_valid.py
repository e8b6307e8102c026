"""JSON validity: could a program read the answer?"""

from __future__ import annotations

from collections.abc import Sequence

from harness.metrics.base import best
from harness.metrics.json_text import read_object


def json_valid(answer: str, accepted: Sequence[str]) -> float:
    """1 where the parsed answer is a JSON object, right or wrong."""
    return best(answer, accepted, lambda given, _: float(read_object(given) is not None))
