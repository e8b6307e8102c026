"""Exact object: is the whole JSON object right?"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from harness.metrics.base import best
from harness.metrics.field_f1 import leaf
from harness.metrics.json_text import JsonValue, read_object


def exact_object(answer: str, accepted: Sequence[str]) -> float:
    """1 where the object has the reference's keys and values, lists in the same order; values as in `field_f1`."""
    return best(answer, accepted, _same)


def _same(answer: str, reference: str) -> float:
    given, wanted = read_object(answer), read_object(reference)
    return float(given is not None and wanted is not None and _frozen(given) == _frozen(wanted))


def _frozen(value: JsonValue) -> Hashable:
    if isinstance(value, dict):
        return frozenset((key, _frozen(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return tuple(_frozen(inner) for inner in value)
    return frozenset([leaf(value)])
