"""Pictures of rows: values with their intervals, and wholes cut into parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.publish.blocks import Axis, Bar, Intervals, Parts, Row
from harness.publish.figures.base import LINE, Canvas, lettered, lines_of, set_axis

_GAP = 0.13
"""Inches between rows."""
_FOOT = 0.32
_EDGE = 0.12
_AIR = 0.18
"""Inches between words and axes, and the edge."""
_LAST_TICK = 0.28
"""Inches that half of the label at the end of an axis needs."""
_LETTER_WIDTH = 0.085
"""Inches that a figure in a part needs."""
_FILLS = (0, 1, 0, 2, 4, 0, 3, 5)
"""Tones of the parts, in turn; every third is light."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a row stands, in inches from the top of the axes: its middle, and the first line above it."""

    middle: float
    words: float


def intervals(picture: Intervals, canvas: Canvas) -> Any:
    """A dot and a bar a row, on one axis from 0."""
    left, right = _columns(canvas, picture.bars)
    room = canvas.inches - 2 * _EDGE if canvas.narrow else left - _AIR
    labels = [lettered(bar.label, room) for bar in picture.bars]
    texts = [lettered(bar.text, room if canvas.narrow else right - _AIR) for bar in picture.bars]
    places, height = _rows([lines_of(a) for a in labels], [lines_of(b) for b in texts], canvas)
    figure, axes = _frame(canvas, height, left=left, right=right)
    set_axis(axes, Axis("", picture.ticks), "x")
    axes.set_xlim(0, picture.top)
    canvas.grid(axes, "x")
    for bar, place, label, text in zip(picture.bars, places, labels, texts, strict=True):
        _interval(axes, canvas, bar, place.middle)
        _beside(axes, canvas, place, (label, text), marked=bar.marked)
    if picture.target is not None and math.isfinite(picture.target):
        axes.axvline(picture.target, color=canvas.colours["ink"], linewidth=1.2, linestyle=(0, (4, 3)), clip_on=False)
    return figure


def _columns(canvas: Canvas, bars: Sequence[Bar]) -> tuple[float, float]:
    """Inches for the labels on the left and the texts on the right."""
    if canvas.narrow:
        return _EDGE, _LAST_TICK
    longest = max((len(bar.text) for bar in bars), default=0)
    return 0.31 * canvas.inches, min(0.3 * canvas.inches, 0.35 + 0.075 * longest)


def _rows(labels: Sequence[int], texts: Sequence[int], canvas: Canvas) -> tuple[list[_Place], float]:
    """Places of the rows, and the height of all of them."""
    places, height = [], 0.0
    for label, text in zip(labels, texts, strict=True):
        if canvas.narrow:
            places.append(_Place(height + LINE * (label + text) + 0.12, height))
            height += LINE * (label + text) + 0.24 + _GAP
        else:
            tall = LINE * max(label, text)
            places.append(_Place(height + tall / 2 + _GAP / 2, height))
            height += tall + _GAP
    return places, max(height, LINE)


def _frame(canvas: Canvas, height: float, *, left: float, right: float, top: float = 0.06) -> tuple[Any, Any]:
    """Axes whose y is inches from the top."""
    figure = canvas.figure(height + top + _FOOT)
    axes = canvas.axes(figure, left=left, right=right, top=top, bottom=_FOOT)
    axes.set_ylim(height, 0)
    axes.set_yticks([])
    return figure, axes


def _beside(axes: Any, canvas: Canvas, place: _Place, words: tuple[str, str], *, marked: bool) -> None:
    """A row's label and text: beside the bar, or above it where there is no room."""
    weight = "bold" if marked else "normal"
    label, text = words
    look = {"color": canvas.colours["ink"], "fontweight": weight, "transform": axes.get_yaxis_transform()}
    if canvas.narrow:
        axes.text(0, place.words, label, va="top", ha="left", **look)
        axes.text(0, place.words + LINE * lines_of(label), text, va="top", ha="left", **look)
        return
    width = axes.get_window_extent().width / axes.figure.dpi
    axes.text(-0.12 / width, place.middle, label, va="center", ha="right", linespacing=1.1, **look)
    axes.text(1 + 0.12 / width, place.middle, text, va="center", ha="left", linespacing=1.1, **look)


def _interval(axes: Any, canvas: Canvas, bar: Bar, y: float) -> None:
    colour = canvas.colours["accent" if bar.marked else "muted"]
    if math.isfinite(bar.low) and math.isfinite(bar.high):
        axes.plot([bar.low, bar.high], [y, y], color=colour, linewidth=2.6, solid_capstyle="round", clip_on=False)
    if math.isfinite(bar.value):
        axes.plot([bar.value], [y], marker="o", markersize=6.5, color=colour, linestyle="", clip_on=False)


def parts(picture: Parts, canvas: Canvas) -> Any:
    """Stacked bars, a legend above them."""
    left = _EDGE if canvas.narrow else 0.25 * canvas.inches
    room = canvas.inches - 2 * _EDGE if canvas.narrow else left - 0.15
    labels = [lettered(row.label, room) for row in picture.rows]
    places, height = _rows([max(lines_of(a), 1 if canvas.narrow else 2) for a in labels], [0] * len(labels), canvas)
    names = [lettered(name, canvas.inches - 0.7) for name in picture.names]
    top = 0.1 + sum(LINE * lines_of(name) + 0.05 for name in names)
    figure, axes = _frame(canvas, height, left=left, right=_LAST_TICK, top=top)
    set_axis(axes, picture.axis, "x")
    canvas.grid(axes, "x")
    for row, place, label in zip(picture.rows, places, labels, strict=True):
        _whole(axes, canvas, row, place.middle)
        _beside(axes, canvas, place, (label, ""), marked=row.marked)
    _legend(figure, canvas, names)
    return figure


def _whole(axes: Any, canvas: Canvas, row: Row, y: float) -> None:
    """One row's bar; what is written into a part stands there only if it fits."""
    start = 0.0
    inch = (axes.get_window_extent().width / axes.figure.dpi) / max(axes.get_xlim()[1], 1e-9)
    for place, (size, text) in enumerate(zip(row.sizes, row.texts, strict=True)):
        if not math.isfinite(size) or size <= 0:
            continue
        axes.barh([y], [size], left=[start], height=0.2, **_fill(canvas, place))
        if text and size * inch >= _LETTER_WIDTH * (len(text) + 1):
            ground = {"facecolor": canvas.colours["page"], "edgecolor": "none", "pad": 1.0}
            look = {"color": canvas.colours["ink"], "fontsize": 8, "ha": "center", "va": "center", "bbox": ground}
            axes.text(start + size / 2, y, text, **look)
        start += size


def _fill(canvas: Canvas, place: int) -> dict[str, Any]:
    """Dark, middle, light, so that neighbours differ in grey print; a gap of the page's colour between them."""
    colour = canvas.colours["line"] if place % 3 == 2 else canvas.tone(_FILLS[place % len(_FILLS)])
    return {"facecolor": colour, "edgecolor": canvas.colours["page"], "linewidth": 1.0}


def _legend(figure: Any, canvas: Canvas, names: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(label=name, **_fill(canvas, place)) for place, name in enumerate(names)]
    height = figure.get_size_inches()[1]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.0, 1 - 0.02 / height),
        frameon=False,
        labelcolor=canvas.colours["ink"],
        fontsize=8.5,
        borderaxespad=0,
        borderpad=0.2,
        labelspacing=0.35,
        handlelength=1.8,
    )
