"""Axes of pictures: where they end and which places on them are marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from harness.publish import numbers
from harness.publish.blocks import Axis

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MOST_STEPS = 6


def count_axis(title: str, highest: float, written: Callable[[float], str] = numbers.count) -> Axis:
    """An axis from 0 to a round number not below `highest`, marked at four to six places beside 0."""
    step = _round_step(max(highest, 1e-9) / _MOST_STEPS)
    steps = math.ceil(highest / step - 1e-9)
    return Axis(title, tuple((step * i, written(step * i)) for i in range(max(steps, 1) + 1)))


def _round_step(least: float) -> float:
    scale: float = 10 ** math.floor(math.log10(least))
    return next(step * scale for step in _STEPS if step * scale >= least * (1 - 1e-9))


def log_axis(title: str, values: Sequence[float], written: Callable[[float], str]) -> Axis:
    """A logarithmic axis over all of these positive values, marked at powers of ten; closer where there are few."""
    low, high = min(values), max(values)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)
    within = (1.0, 2.0, 5.0) if last - first <= 2 else (1.0,)
    places = [10.0**power * part for power in range(first, last) for part in within] + [10.0**last]
    below = max((i for i, place in enumerate(places) if place <= low * (1 + 1e-9)), default=0)
    above = min((i for i, place in enumerate(places) if place >= high * (1 - 1e-9)), default=len(places) - 1)
    if above == below:
        above = min(above + 1, len(places) - 1)
        below = max(0, above - 1)
    return Axis(title, tuple((place, written(place)) for place in places[below : above + 1]), logarithmic=True)
