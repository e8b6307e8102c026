"""Each kind of picture as a matplotlib figure."""

from __future__ import annotations

from typing import Any

from harness.publish.blocks import Intervals, Lines, Parts, Picture, Scatter
from harness.publish.figures.bars import intervals, parts
from harness.publish.figures.base import Canvas
from harness.publish.figures.points import lines, scatter


def drawn(picture: Picture, canvas: Canvas) -> Any:
    """The picture as a figure."""
    match picture:
        case Intervals():
            return intervals(picture, canvas)
        case Lines():
            return lines(picture, canvas)
        case Scatter():
            return scatter(picture, canvas)
        case Parts():
            return parts(picture, canvas)
