"""The axes of pictures: where they end and what is written on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from harness.publish import numbers
from harness.publish.blocks import Axis, Ticks
from harness.records import LADDER
from harness.report.names import is_share, metric_title

_TOPS = (0.2, 0.4, 0.6, 0.8, 1.0)
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_QUARTERS = 4
_MOST_STEPS = 6
_TONES = 8


def score_top(values: Sequence[float]) -> float:
    """The end of an axis of scores, from 0, that has room for all of these."""
    highest = max(values, default=1.0)
    return next((top for top in _TOPS if top >= highest), 1.0)


def score_ticks(top: float, metric: str) -> Ticks:
    """Five places from 0 to `top`."""
    share = is_share(metric)
    return tuple(
        (top * i / _QUARTERS, numbers.on_axis(top * i / _QUARTERS, is_share=share)) for i in range(_QUARTERS + 1)
    )


def score_axis(values: Sequence[float], metric: str) -> Axis:
    """An axis of scores by `metric`."""
    return Axis(metric_title(metric), score_ticks(score_top(values), metric))


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


def tone(arm: str, arms: Sequence[str]) -> int:
    """An arm's colour, the same in every picture: its place in the ladder; others take what is left, in their order."""
    if arm in LADDER:
        return LADDER.index(arm)
    others = [one for one in arms if one not in LADDER]
    return (len(LADDER) + others.index(arm)) % _TONES if arm in others else _TONES - 1
