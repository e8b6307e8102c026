"""What all pictures share: size, colours, axes, words that keep to their place."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.publish.blocks import Axis, Ticks
from harness.publish.text import one_line, shortened

TONES = ("#0072b2", "#c28200", "#009e73", "#bf4800", "#c9699f", "#3795d6", "#4a4600", "#7c828a")
"""Colours of what is compared, after Okabe and Ito 2008, darker where needed: at least 3 to 1 on white."""
DARK_TONES = ("#4a9be0", "#e69f00", "#1fb98c", "#f0702a", "#de8fbd", "#9ad8fa", "#f0e442", "#c3c9d1")
"""The same for dark pages: at least 3 to 1 on #14171b."""
STYLES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (6, 2, 1, 2)), (0, (2, 1)), (0, (9, 2)), (0, (1, 1)), "-", (0, (3, 3)))
"""So that lines differ in grey print as well."""
SHAPES = ("o", "s", "^", "D", "v", "P", "X", "p")
NARROW = 4.5
"""Inches, below which words stand above what they name."""
SIZE = 9.0
"""Points, of words."""
LINE = 0.165
"""Inches from one line of words to the next."""
_TICK_LETTER = 0.075
"""Inches that a letter of a tick's label takes."""
_MOST_LETTERS = 24
"""That an inch can hold, however narrow."""
_FEWEST = 6
"""Letters on a line."""
_MOST_LINES = 3


@dataclass(frozen=True, slots=True)
class Canvas:
    """The width of a picture in inches, and the names of its colours: `ink`, `muted`, `tone-0` and so on."""

    inches: float
    colours: Mapping[str, str]

    @property
    def narrow(self) -> bool:
        """Whether it is for a small screen."""
        return self.inches < NARROW

    def tone(self, tone: int) -> str:
        """The colour of what is compared."""
        return self.colours[f"tone-{tone % len(TONES)}"]

    def figure(self, height: float) -> Any:
        """A figure of so many inches."""
        from matplotlib.figure import Figure

        return Figure(figsize=(self.inches, height), facecolor=self.colours["page"])

    def axes(self, figure: Any, *, left: float, right: float, top: float, bottom: float) -> Any:
        """Axes with so many inches around them, without a frame."""
        width, height = figure.get_size_inches()
        box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
        axes = figure.add_axes(box, facecolor="none")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, pad=5, labelsize=8, labelcolor=self.colours["muted"])
        axes.set_axisbelow(True)
        return axes

    def grid(self, axes: Any, which: str) -> None:
        """Faint lines at the ticks of one direction, or of `both`."""
        axes.grid(visible=True, axis=which, color=self.colours["line"], linewidth=0.7)


def lettered(text: str, inches: float, *, size: float = SIZE) -> str:
    """Text in at most three lines that fit into so many inches even in bold; a longer one is cut in the middle."""
    clean = one_line(text)
    for across in range(max(_FEWEST, min(len(clean), int(inches * _MOST_LETTERS))), 0, -1):
        most = across * _MOST_LINES - across // 2
        half = most // 2 - 2
        short = clean if len(clean) <= most else f"{clean[:half]} … {clean[-half:]}"
        lines = textwrap.wrap(short, across)[:_MOST_LINES] or [""]
        if across <= _FEWEST or max(map(partial(_inches, size=size), lines)) <= inches:
            break
    return "\n".join(lines)


def _inches(text: str, *, size: float) -> float:
    """Width of a line in bold."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family="DejaVu Sans", weight="bold", size=size)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 72


def lines_of(text: str) -> int:
    """How many lines a text has."""
    return text.count("\n") + 1


def set_axis(axes: Any, axis: Axis, which: str) -> None:
    """Scale, ends, ticks and title of the `x` or `y` axis."""
    from matplotlib.ticker import NullFormatter, NullLocator

    one = getattr(axes, f"{which}axis")
    getattr(axes, f"set_{which}scale")("log" if axis.logarithmic else "linear")
    getattr(axes, f"set_{which}lim")(axis.ticks[0][0], axis.ticks[-1][0])
    set_ticks(axes, one, axis.ticks)
    one.set_minor_locator(NullLocator())
    one.set_minor_formatter(NullFormatter())


def set_ticks(axes: Any, axis: Any, ticks: Ticks) -> None:
    """Places and their labels; along the x axis every second label is left out where there is no room for all."""
    labels = [shortened(one_line(text), 24) for _, text in ticks]
    room = axes.get_window_extent().width / axes.figure.dpi
    if axis.axis_name == "x" and sum(map(len, labels)) * _TICK_LETTER + len(labels) * 0.1 > room:
        labels = [label if (len(labels) - 1 - place) % 2 == 0 else "" for place, label in enumerate(labels)]
    axis.set_ticks([place for place, _ in ticks], labels)


def apart(places: Sequence[float], *, gap: float, low: float = 0.0, high: float = 1.0) -> list[float]:
    """Ascending places moved as little as a simple sweep can, so that neighbours are `gap` apart and inside."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap if moved else low))
    ceiling = high
    for index in range(len(moved) - 1, -1, -1):
        moved[index] = min(moved[index], ceiling)
        ceiling = moved[index] - gap
    return moved
