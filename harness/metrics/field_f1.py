"""Field F1: how many fields of the JSON object are right?"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from harness.metrics.base import best
from harness.metrics.json_text import JsonObject, JsonValue, read_object

Leaf: TypeAlias = tuple[str, bool | int | float | str | None]


def field_f1(answer: str, accepted: Sequence[str]) -> float:
    """Harmonic mean of the share of answer fields that are right and of reference fields that were found.

    A field is a path and a value, `slots.city = "Rome"`. Items of a list share one path, so their order does not count
    and one missing item costs one field. Text counts without outer and repeated spaces; 5 equals 5.0 but not "5". An
    empty object or list is a field of its own. The F1 of slot filling (micro, per object): Tjong Kim Sang and
    Buchholz, CoNLL-2000.
    """
    return best(answer, accepted, _f1)


def leaf(value: bool | int | float | str | None) -> Leaf:
    """A value with its type, since in Python True == 1."""
    if isinstance(value, str):
        return ("text", " ".join(unicodedata.normalize("NFC", value).split()))
    if isinstance(value, bool):
        return ("truth", value)
    return ("nothing", None) if value is None else ("number", value)


def _f1(answer: str, reference: str) -> float:
    given, wanted = read_object(answer), read_object(reference)
    if given is None or wanted is None:
        return 0.0
    found, expected = _fields(given), _fields(wanted)
    total = found.total() + expected.total()
    return 2 * (found & expected).total() / total if total else 1.0


def _fields(value: JsonObject) -> Counter[tuple[tuple[str, ...], Leaf]]:
    return Counter(pair for key, inner in value.items() for pair in _flat(inner, (key,)))


def _flat(value: JsonValue, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    if isinstance(value, dict | list) and not value:
        yield path, ("empty", "{}" if isinstance(value, dict) else "[]")
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(inner, (*path, "[]"))
    else:
        yield path, leaf(value)
