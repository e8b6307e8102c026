"""The picture of cost against volume, as SVG."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from advisor.records import APPROACHES, Costs

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7")
"""Okabe and Ito's colour-blind-safe palette, an approach each."""
STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


def cost_chart_svg(costs: Costs, *, names: Mapping[str, str], advised: str) -> str:
    """First-year cost against requests a day, both logarithmic; the same costs give the same bytes."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "bakeoff-advisor", "svg.fonttype": "none", "font.size": 10}):
        figure = Figure(figsize=(8, 4.6), layout="constrained")
        axes = figure.add_subplot()
        _lines(axes, costs, advised)
        _labels(axes, costs, names)
        _frame(axes, costs)
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Title": "First-year cost against volume"})
    return buffer.getvalue()


def _lines(axes: Any, costs: Costs, advised: str) -> None:
    volumes = [point.requests_per_day for point in costs.curve]
    for approach, colour, style in zip(APPROACHES, COLOURS, STYLES, strict=True):
        amounts = [point.first_year[approach] for point in costs.curve]
        axes.plot(volumes, amounts, color=colour, linestyle=style, linewidth=3 if approach == advised else 1.6)


def _labels(axes: Any, costs: Costs, names: Mapping[str, str]) -> None:
    """Names at the lines' right ends, pushed apart so that none overlaps another."""
    last = costs.curve[-1]
    low = min(point.first_year[a] for point in costs.curve for a in APPROACHES)
    high = max(last.first_year.values())
    gap = (high / low) ** 0.06  # a sixteenth of the height, on the logarithmic axis
    place = 0.0
    for approach in sorted(APPROACHES, key=lambda name: last.first_year[name]):
        place = max(last.first_year[approach], place * gap)
        colour = COLOURS[APPROACHES.index(approach)]
        name = names[approach].replace("$", r"\$")
        axes.annotate(
            name,
            xy=(last.requests_per_day, last.first_year[approach]),
            xytext=(last.requests_per_day * 1.6, place),
            color=colour,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6},
        )


def _frame(axes: Any, costs: Costs) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.axvline(costs.requests_per_day, color="#555555", linewidth=1, linestyle=(0, (2, 2)))
    axes.text(costs.requests_per_day, 0.02, " this use case", transform=axes.get_xaxis_transform(), color="#555555")
    axes.set_xlabel("Requests a day")
    axes.set_ylabel(f"First-year cost ({costs.currency})")
    axes.xaxis.set_major_formatter(lambda value, _place: f"{value:,.0f}")
    axes.yaxis.set_major_formatter(lambda value, _place: f"{value:,.0f}")
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
