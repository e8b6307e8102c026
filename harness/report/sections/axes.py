"""The axes of pictures: where they end and what is written on them."""

from __future__ import annotations

from collections.abc import Sequence

from harness.publish import numbers
from harness.publish.blocks import Axis, Ticks
from harness.records import LADDER
from harness.report.names import is_share, metric_title

_TOPS = (0.2, 0.4, 0.6, 0.8, 1.0)
_QUARTERS = 4
_TONES = 8
_MOST_TONES = 8


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


def tone(arm: str, arms: Sequence[str]) -> int:
    """An arm's colour, the same in every picture: its place in the ladder; others take what is left, in their order."""
    if arm in LADDER:
        return LADDER.index(arm)
    others = [one for one in arms if one not in LADDER]
    return (len(LADDER) + others.index(arm)) % _TONES if arm in others else _TONES - 1
