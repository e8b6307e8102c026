"""Pictures with two axes: lines with their names, and points with theirs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from harness.publish.blocks import Dot, Line, Lines, Scatter
from harness.publish.figures.base import LINE, SHAPES, STYLES, Canvas, apart, lettered, lines_of, set_axis

_HEIGHT = 3.0
"""Inches of the axes."""
_FOOT = 0.55
_EDGE = 0.12
_LAST_TICK = 0.3
"""Inches that half of the label at the end of an axis needs."""


def lines(picture: Lines, canvas: Canvas) -> Any:
    """Lines with their names at the right end, or below where there is no room."""
    names = [one.label for one in picture.lines] + [words for _, words in picture.level]
    right = _LAST_TICK if canvas.narrow else 0.24 * canvas.inches
    key = _key_height(names, canvas.inches - 0.7) if canvas.narrow else 0.0
    figure, axes = _frame(canvas, picture, right=right, key=key)
    for one in picture.lines:
        _line(axes, canvas, one)
    for y, _ in picture.level:
        axes.axhline(y, color=canvas.colours["muted"], linewidth=1.1, linestyle=(0, (1, 2)), zorder=1)
    for x, words in picture.upright:
        _upright(axes, canvas, x, words)
    for dot in picture.dots:
        _break(axes, canvas, dot)
    if canvas.narrow:
        _key(axes, canvas, names, picture)
    else:
        _name_ends(axes, canvas, picture, room=right)
    return figure


def _frame(canvas: Canvas, picture: Lines | Scatter, *, right: float, key: float) -> tuple[Any, Any]:
    longest = max((len(text) for _, text in picture.y.ticks), default=3)
    left = 0.2 + 0.075 * min(longest, 24)
    figure = canvas.figure(_HEIGHT + _FOOT + 0.45 + key)
    axes = canvas.axes(figure, left=left, right=right, top=0.45, bottom=_FOOT + key)
    set_axis(axes, picture.x, "x")
    set_axis(axes, picture.y, "y")
    canvas.grid(axes, "both")
    axes.set_xlabel(lettered(picture.x.title, canvas.inches - 1), color=canvas.colours["ink"], labelpad=5)
    height = figure.get_size_inches()[1]
    title = lettered(picture.y.title, canvas.inches - 0.3)
    figure.text(_EDGE / canvas.inches, 1 - 0.05 / height, title, va="top", color=canvas.colours["ink"])
    return figure, axes


def _line(axes: Any, canvas: Canvas, one: Line) -> None:
    colour, style = canvas.tone(one.tone), STYLES[one.tone % len(STYLES)]
    points = [(x, y) for x, y in one.points if math.isfinite(x) and math.isfinite(y)]
    if points:
        width, above = (2.8, 4) if one.marked else (1.6, 3)
        axes.plot(*zip(*points, strict=True), color=colour, linestyle=style, linewidth=width, zorder=above)
    for (x, y), (low, high) in zip(one.points, one.spread, strict=False):
        if all(map(math.isfinite, (x, y, low, high))):
            axes.plot([x, x], [low, high], color=colour, linewidth=1.0, zorder=2, clip_on=False)
            axes.plot([x], [y], color=colour, marker="o", markersize=4, clip_on=False)


def _upright(axes: Any, canvas: Canvas, x: float, words: str) -> None:
    axes.axvline(x, color=canvas.colours["muted"], linewidth=1.1, linestyle=(0, (1, 2)), zorder=1)
    place = float(axes.transAxes.inverted().transform(axes.transData.transform((x, axes.get_ylim()[0])))[0])
    side = "left" if place < 0.3 else "right" if place > 0.7 else "center"
    look = {"color": canvas.colours["muted"], "fontsize": 8, "transform": axes.get_xaxis_transform()}
    axes.text(x, 1.02, lettered(words, canvas.inches - 1.2, size=8), ha=side, va="bottom", **look)


def _break(axes: Any, canvas: Canvas, dot: Dot) -> None:
    if not (math.isfinite(dot.x) and math.isfinite(dot.y)):
        return
    edge = {"markeredgecolor": canvas.colours["ink"], "markerfacecolor": canvas.colours["page"], "markeredgewidth": 1.4}
    axes.plot([dot.x], [dot.y], marker="o", markersize=7, linestyle="", zorder=9, **edge)
    if dot.label:
        look = {"fontsize": 8, "color": canvas.colours["ink"], "zorder": 9}
        words = lettered(dot.label, 1.6, size=8)
        axes.annotate(words, (dot.x, dot.y), (6, 6), textcoords="offset points", **look)


def _name_ends(axes: Any, canvas: Canvas, picture: Lines, *, room: float) -> None:
    """Names beside the right ends, pushed apart so that none overlaps another."""
    ends: list[tuple[float, str, Line | None]]
    ends = [(_height(axes, one.points[-1][1]), one.label, one) for one in picture.lines if one.points]
    ends += [(_height(axes, y), words, None) for y, words in picture.level]
    ends = sorted((end for end in ends if math.isfinite(end[0])), key=lambda end: end[0])
    names = [lettered(label, room - 0.5) for _, label, _ in ends]
    tall = max((lines_of(name) for name in names), default=1) * LINE / _HEIGHT + 0.01
    places = apart([place for place, _, _ in ends], gap=tall)
    inch = 1 / (canvas.inches * axes.get_position().width)
    for (end, _, one), name, place in zip(ends, names, places, strict=True):
        colour = canvas.tone(one.tone) if one else canvas.colours["muted"]
        style = STYLES[one.tone % len(STYLES)] if one else (0, (1, 2))
        width = 2.8 if one and one.marked else 1.6
        look = {"transform": axes.transAxes, "clip_on": False, "color": colour}
        axes.plot([1, 1 + 0.1 * inch], [end, place], linewidth=0.8, **look)
        axes.plot([1 + 0.1 * inch, 1 + 0.36 * inch], [place, place], linewidth=width, linestyle=style, **look)
        weight = "bold" if one and one.marked else "normal"
        words = {"va": "center", "fontweight": weight, "color": canvas.colours["ink"], "linespacing": 1.05}
        axes.text(1 + 0.42 * inch, place, name, transform=axes.transAxes, **words)


def _height(axes: Any, y: float) -> float:
    """Where a value stands on the axis, 0 at the bottom and 1 at the top."""
    x = axes.get_xlim()[1]
    place = float(axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[1])
    return min(1.0, max(0.0, place)) if math.isfinite(place) else place


def scatter(picture: Scatter, canvas: Canvas) -> Any:
    """Points with their intervals; shapes and colours are named beside or below."""
    names = [dot.label for dot in picture.dots]
    right = _LAST_TICK if canvas.narrow else 0.3 * canvas.inches
    room = canvas.inches - 0.7 if canvas.narrow else right - 0.6
    key = _key_height(names, room)
    figure, axes = _frame(canvas, picture, right=right, key=key if canvas.narrow else max(0.0, key - _HEIGHT))
    for dot in picture.dots:
        _point(axes, canvas, dot)
    handles = [_sample(canvas, dot) for dot in picture.dots]
    _legend(axes, canvas, handles, [lettered(name, room) for name in names])
    _embolden(figure, [dot.marked for dot in picture.dots])
    return figure


def _point(axes: Any, canvas: Canvas, dot: Dot) -> None:
    if not (math.isfinite(dot.x) and math.isfinite(dot.y)):
        return
    colour = canvas.tone(dot.tone)
    if dot.low is not None and dot.high is not None and math.isfinite(dot.low) and math.isfinite(dot.high):
        axes.plot([dot.x, dot.x], [dot.low, dot.high], color=colour, linewidth=1.2, clip_on=False)
    size = 10 if dot.marked else 7
    axes.plot(
        [dot.x], [dot.y], color=colour, marker=_shape(dot), markersize=size, linestyle="", clip_on=False, zorder=5
    )


def _shape(dot: Dot) -> str:
    return SHAPES[dot.tone % len(SHAPES)]


def _sample(canvas: Canvas, dot: Dot) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=canvas.tone(dot.tone), marker=_shape(dot), markersize=7, linestyle="")


def _key_height(names: Sequence[str], room: float) -> float:
    """Inches that names, one below the other and each so wide, need."""
    return sum(LINE * lines_of(lettered(name, room)) + 0.06 for name in names) + 0.1


def _key(axes: Any, canvas: Canvas, names: Sequence[str], picture: Lines) -> None:
    """The names of lines below a narrow picture."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], color=canvas.tone(one.tone), linestyle=STYLES[one.tone % 8], linewidth=2.8 if one.marked else 1.6
        )
        for one in picture.lines
    ]
    handles += [Line2D([], [], color=canvas.colours["muted"], linestyle=(0, (1, 2))) for _ in picture.level]
    _legend(axes, canvas, handles, [lettered(name, canvas.inches - 0.7) for name in names])
    _embolden(axes.figure, [one.marked for one in picture.lines])


def _legend(axes: Any, canvas: Canvas, handles: Sequence[Any], names: Sequence[str]) -> None:
    """Beside the axes, or below them where there is no room."""
    figure, box = axes.figure, axes.get_position()
    height = figure.get_size_inches()[1]
    place = (
        {"loc": "upper left", "bbox_to_anchor": (0.01, box.y0 - 0.5 / height)}
        if canvas.narrow
        else {"loc": "upper left", "bbox_to_anchor": (box.x1 + 0.15 / canvas.inches, box.y1)}
    )
    look = {"frameon": False, "labelcolor": canvas.colours["ink"], "fontsize": 8.5, "labelspacing": 0.45}
    figure.legend(handles, names, borderaxespad=0, handlelength=2.2, **look, **place)


def _embolden(figure: Any, marked: Sequence[bool]) -> None:
    for text, bold in zip(figure.legends[0].get_texts(), marked, strict=False):
        text.set_fontweight("bold" if bold else "normal")
