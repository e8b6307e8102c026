"""The picture of cost against volume, as SVG."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from typing import Any

from advisor.records import APPROACHES, BreakEven, Costs

COLOURS = {
    "prompting": "#0072B2",
    "few_shot": "#E69F00",
    "rag": "#009E73",
    "fine_tuning": "#D55E00",
    "rag_fine_tuning": "#CC79A7",
}
"""The colour-blind-safe palette of Okabe and Ito 2008, "Color Universal Design"."""
STYLES: dict[str, str | tuple[int, tuple[int, ...]]] = {
    "prompting": "-",
    "few_shot": (0, (6, 2)),
    "rag": (0, (6, 2, 1, 2)),
    "fine_tuning": "-",
    "rag_fine_tuning": (0, (2, 1)),
}
"""So that the lines differ in grey print, too."""
INK, FAINT = "#222222", "#666666"
_LEFT, _RIGHT, _BOTTOM, _TOP = 0.095, 0.725, 0.12, 0.79
_LABEL_HEIGHT = 0.062
"""Share of the axes' height that one label needs."""


def cost_chart_svg(costs: Costs, *, names: Mapping[str, str], advised: str, runner_up: str | None = None) -> str:
    """First-year cost against requests a day, both logarithmic; the same costs give the same bytes.

    `names`: approaches as labels. The advised approach's line is thick. A dot marks each break-even volume of it and
    another approach: a ring the one with the runner-up, which a sentence above the picture explains.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    even = _break_even(costs, advised, runner_up)
    with _plain_settings():
        figure = Figure(figsize=(8.2, 4.9), facecolor="white")
        axes = figure.add_axes((_LEFT, _BOTTOM, _RIGHT - _LEFT, _TOP - _BOTTOM))
        _scales(axes, costs)
        _lines(axes, costs, advised)
        _labels(axes, costs, names, advised)
        _asked_volume(axes, costs)
        _other_break_evens(axes, costs, advised, runner_up)
        _heading(figure, axes, costs, even)
        buffer = io.StringIO()
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(buffer, metadata=metadata)
    return _for_screen_readers(buffer.getvalue(), description(costs, names=names, advised=advised, even=even))


def description(costs: Costs, *, names: Mapping[str, str], advised: str, even: BreakEven | None = None) -> str:
    """The picture in words, for those who cannot see it."""
    amounts = ", ".join(f"{names[one.approach]} {one.first_year:,.0f}" for one in costs.approaches)
    text = (
        f"First-year cost in {costs.currency} against requests a day, both on logarithmic scales, a line for each "
        f"approach. At {costs.requests_per_day:,.0f} requests a day: {amounts}. Advised: {names[advised]}."
    )
    return f"{text} {even.text}" if even else text


@contextmanager
def _plain_settings() -> Iterator[None]:
    """The library's own settings, whatever the user's are; fixed names in the file; text as text, never formulae."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "svg.hashsalt": "bakeoff-advisor",
                "svg.fonttype": "none",
                "font.family": ["sans-serif"],
                "font.sans-serif": ["DejaVu Sans"],
                "font.size": 10,
                "text.parse_math": False,
                "text.color": INK,
                "axes.labelcolor": INK,
                "axes.edgecolor": FAINT,
                "xtick.color": FAINT,
                "ytick.color": FAINT,
            }
        )
        yield


def _break_even(costs: Costs, advised: str, runner_up: str | None) -> BreakEven | None:
    pair = {advised, runner_up}
    return next((one for one in costs.break_evens if {one.first, one.second} == pair), None)


def _amounts(costs: Costs, approach: str) -> list[float]:
    """A logarithm needs something above 0, and nobody cares below 1."""
    return [max(1.0, point.first_year[approach]) for point in costs.curve]


def _scales(axes: Any, costs: Costs) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    amounts = [amount for approach in APPROACHES for amount in _amounts(costs, approach)]
    low, high = min(amounts), max(amounts)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(costs.curve[0].requests_per_day, costs.curve[-1].requests_per_day)
    axes.set_ylim(low / 1.25, max(high * 1.25, low * 10))
    axes.xaxis.set_major_locator(LogLocator(numticks=12))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 1000 else (1.0, 2.0, 5.0), numticks=12))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(lambda value, _place: _short(value))
    axes.set_xlabel("Requests a day")
    axes.grid(visible=True, which="major", color="#e3e3e3", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _lines(axes: Any, costs: Costs, advised: str) -> None:
    volumes = [point.requests_per_day for point in costs.curve]
    for place, approach in enumerate(APPROACHES):
        first = approach == advised
        axes.plot(
            volumes,
            _amounts(costs, approach),
            color=COLOURS[approach],
            linestyle=STYLES[approach],
            linewidth=3.2 if first else 1.7,
            zorder=5 if first else 2 + place / 10,
            clip_on=False,
        )


def _labels(axes: Any, costs: Costs, names: Mapping[str, str], advised: str) -> None:
    """Names beside the lines' right ends, pushed apart so that none overlaps another."""
    transform = axes.transAxes
    ends = {one: _height(axes, _amounts(costs, one)[-1]) for one in APPROACHES}
    order = sorted(APPROACHES, key=lambda one: ends[one])
    places = apart([ends[one] for one in order], gap=_LABEL_HEIGHT)
    for approach, place in zip(order, places, strict=True):
        first = approach == advised
        colour = COLOURS[approach]
        axes.plot([1.0, 1.03], [ends[approach], place], transform=transform, color=colour, linewidth=0.8, clip_on=False)
        sample = {"color": colour, "linestyle": STYLES[approach], "linewidth": 3.2 if first else 1.7}
        axes.plot([1.03, 1.075], [place, place], transform=transform, clip_on=False, **sample)
        weight = "bold" if first else "normal"
        axes.text(1.093, place, names[approach], transform=transform, va="center", fontsize=9.5, fontweight=weight)


def apart(places: list[float], *, gap: float) -> list[float]:
    """Places (0..1, ascending) moved as little as a simple sweep can, so that neighbours are `gap` apart and inside."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap if moved else 0.0))
    ceiling = 1.0
    for index in range(len(moved) - 1, -1, -1):
        moved[index] = min(moved[index], ceiling)
        ceiling = moved[index] - gap
    return moved


def _height(axes: Any, amount: float) -> float:
    """Where an amount stands on the axis, 0 at the bottom and 1 at the top."""
    return float(axes.transAxes.inverted().transform(axes.transData.transform((1.0, amount)))[1])


def _asked_volume(axes: Any, costs: Costs) -> None:
    if costs.requests_per_day < costs.curve[0].requests_per_day:
        return
    axes.axvline(costs.requests_per_day, color=FAINT, linewidth=1.1, linestyle=(0, (1, 2)), zorder=1)
    left, right = axes.get_xlim()
    side = "right" if costs.requests_per_day > (left * right**3) ** 0.25 else "left"
    if costs.requests_per_day > (left * right) ** 0.5 and side == "left":
        side = "center"
    text = f"this use case: {costs.requests_per_day:,.0f} a day"
    axes.text(
        *(costs.requests_per_day, 1.015), text, transform=axes.get_xaxis_transform(), ha=side, fontsize=9, color=FAINT
    )


def _other_break_evens(axes: Any, costs: Costs, advised: str, runner_up: str | None) -> None:
    amounts = {point.requests_per_day: point.first_year for point in costs.curve}
    for one in costs.break_evens:
        pair = {one.first, one.second}
        if advised in pair and runner_up not in pair and one.requests_per_day in amounts:
            amount = max(1.0, amounts[one.requests_per_day][one.second])
            axes.plot([one.requests_per_day], [amount], linestyle="", marker="o", markersize=5, color=INK, zorder=8)


def _heading(figure: Any, axes: Any, costs: Costs, even: BreakEven | None) -> None:
    title = f"First-year cost ({costs.currency}, prices of {costs.prices_date})"
    figure.text(0.02, 0.955, title, fontsize=12, fontweight="bold", va="center")
    if even is None:
        return
    left = 0.02
    inside = costs.curve[0].requests_per_day, costs.curve[-1].requests_per_day
    if even.requests_per_day and inside[0] <= even.requests_per_day <= inside[1]:
        point = min(costs.curve, key=lambda one: abs(one.requests_per_day - (even.requests_per_day or 0)))
        dot = {
            "marker": "o",
            "markersize": 8,
            "markerfacecolor": "white",
            "markeredgecolor": INK,
            "markeredgewidth": 1.6,
        }
        axes.plot([point.requests_per_day], [max(1.0, point.first_year[even.second])], linestyle="", zorder=9, **dot)
        figure.add_artist(_dot(0.028, 0.908, **{**dot, "markersize": 7}))
        left = 0.042
    figure.text(left, 0.92, textwrap.fill(even.text, 100), fontsize=9, va="top", linespacing=1.35)


def _dot(x: float, y: float, **look: Any) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([x], [y], linestyle="", **look)


def _short(value: float) -> str:
    """10,000; 2M."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:,.0f}"


def _for_screen_readers(svg: str, text: str) -> str:
    """Name and describe the picture in its first element, where screen readers look."""
    start = svg.index("<svg ")
    end = svg.index(">", start)
    head = f'{svg[:end]} role="img" aria-labelledby="cost-title cost-description">'
    title = "First-year cost against requests a day"
    words = f'<title id="cost-title">{title}</title><desc id="cost-description">{escape(text, quote=False)}</desc>'
    return f"{head}\n {words}{svg[end + 1 :]}"
