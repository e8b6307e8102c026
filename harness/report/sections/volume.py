"""First-year cost against volume, with the trial's own token counts, and where one arm becomes cheaper than another."""

from __future__ import annotations

from harness.publish import numbers
from harness.publish.axes import log_axis
from harness.publish.blocks import Block, Bullets, Column, Dot, Line, Lines, Paragraph, Section, Table
from harness.report.data import ReportData
from harness.report.names import arm_in_sentence, arm_name
from harness.report.prices import ArmPrice, Priced, break_even, own_machines, priced
from harness.report.sections.axes import tone
from harness.report.sections.scores import recommended_rows, row_name

_THOUSAND = 1000
_LOWEST, _HIGHEST = 10.0, 1e6
"""Requests a day that are looked at."""
_A_DECADE = 8


def volume_section(data: ReportData) -> Section | None:
    """Prices, bills and break-even volumes; None where nobody named prices."""
    prices = priced(data)
    if prices is None or not prices.arms:
        return None
    arms = tuple(arm for arm in data.real_arms if arm in prices.arms)
    blocks: list[Block] = [*_picture(data, prices, arms), *_crossings(data, prices, arms), _table(data, prices, arms)]
    blocks.append(Paragraph(_how_to_read(data, prices, billed=bool(_billed(prices, arms)))))
    return Section("Cost against volume", "volume", tuple(blocks))


def _billed(prices: Priced, arms: tuple[str, ...]) -> tuple[ArmPrice, ...]:
    return tuple(prices.arms[arm] for arm in arms if prices.arms[arm].first_year(1.0) is not None)


def _picture(data: ReportData, prices: Priced, arms: tuple[str, ...]) -> list[Lines]:
    """Both scales logarithmic; a dot at each break-even volume of the recommended arm."""
    billed = _billed(prices, arms)
    if len(billed) < 2:
        return []
    asked = prices.requests_per_day
    low, high = min(_LOWEST, asked or _LOWEST), max(_HIGHEST, asked or _HIGHEST)
    low = max(low, 1.0)
    axis = log_axis("Requests a day", (low, high), numbers.count)
    volumes = _volumes(axis.ticks[0][0], axis.ticks[-1][0])
    lines = tuple(
        Line(
            arm_name(one.arm),
            tuple((volume, max(1.0, one.first_year(volume) or 0.0)) for volume in volumes),
            tone=tone(one.arm, data.real_arms),
            marked=one.arm == data.verdict.arm,
        )
        for one in billed
    )
    amounts = [y for line in lines for _, y in line.points]
    dots = tuple(
        Dot("", volume, max(1.0, first.first_year(volume) or 0.0))
        for first, _, volume in _break_evens(data, billed)
        if volumes[0] <= volume <= volumes[-1]
    )
    caption = f"First-year cost ({prices.currency}) against requests a day; dots mark where costs are equal"
    upright = ((asked, f"this use case: {numbers.count(asked)} a day"),) if asked else ()
    money = log_axis(f"First year, {prices.currency}", amounts, lambda value: numbers.money(value, prices.currency))
    alt = f"{caption}. {_at(prices, billed, asked or _THOUSAND)} {' '.join(_sentences(data, billed))}".strip()
    return [Lines(caption, axis, money, lines, alt, dots, upright)]


def _volumes(low: float, high: float) -> list[float]:
    points: list[float] = [low]
    while points[-1] * 10 ** (1 / _A_DECADE) < high:
        points.append(points[-1] * 10 ** (1 / _A_DECADE))
    return [*points, high]


def _at(prices: Priced, billed: tuple[ArmPrice, ...], volume: float) -> str:
    amounts = ", ".join(
        f"{arm_name(one.arm)} {numbers.money(one.first_year(volume), prices.currency)}" for one in billed
    )
    return f"At {numbers.count(volume)} requests a day: {amounts}."


def _break_evens(data: ReportData, billed: tuple[ArmPrice, ...]) -> list[tuple[ArmPrice, ArmPrice, float]]:
    """(the shown arm, another arm, requests a day at which both cost the same)."""
    shown = next((one for one in billed if one.arm == data.shown_arm), None)
    if shown is None:
        return []
    found = [(shown, other, break_even(shown, other)) for other in billed if other is not shown]
    return [(first, other, volume) for first, other, volume in found if volume is not None]


def _crossings(data: ReportData, prices: Priced, arms: tuple[str, ...]) -> list[Block]:
    said = _sentences(data, _billed(prices, arms))
    return [Bullets(said)] if said else []


def _sentences(data: ReportData, billed: tuple[ArmPrice, ...]) -> tuple[str, ...]:
    """Against each other arm: from which volume on the shown one is cheaper, or that it is so at every volume."""
    shown = next((one for one in billed if one.arm == data.shown_arm), None)
    if shown is None:
        return ()
    return tuple(_sentence(shown, other) for other in billed if other is not shown)


def _sentence(shown: ArmPrice, other: ArmPrice) -> str:
    one, two = arm_in_sentence(shown.arm), arm_in_sentence(other.arm)
    volume = break_even(shown, other)
    if volume is None and shown.first_year(_THOUSAND) == other.first_year(_THOUSAND):
        return f"{_upper(one)} and {two} cost the same over the first year."
    if volume is None or not 1 <= volume <= 10 * _HIGHEST:
        middle = _THOUSAND
        cheaper, dearer = (
            (one, two) if (shown.first_year(middle) or 0) < (other.first_year(middle) or 0) else (two, one)
        )
        return f"{_upper(cheaper)} is cheaper than {dearer} over the first year at every volume looked at."
    above = one if shown.request < other.request else two
    below = two if above == one else one
    return (
        f"Above about {_two_figures(volume)} requests a day {above} is cheaper over the first year; below it, {below}."
    )


def _table(data: ReportData, prices: Priced, arms: tuple[str, ...]) -> Table:
    volume = prices.requests_per_day
    billed = bool(_billed(prices, arms))
    columns = [Column("Arm"), Column("Priced as"), Column("1,000 requests", number=True)]
    columns += [Column("Once", number=True), Column("A month", number=True)] if billed else []
    columns += [Column(f"First year at {numbers.count(volume)} a day", number=True)] if billed and volume else []
    rows = tuple(_row(data, prices.arms[arm], prices, billed=billed) for arm in arms)
    return Table(
        f"Prices with the tokens of the trial, {prices.currency}", tuple(columns), rows, recommended_rows(data, arms)
    )


def _row(data: ReportData, one: ArmPrice, prices: Priced, *, billed: bool) -> tuple[str, ...]:
    def money(amount: float | None) -> str:
        return "–" if amount is None else numbers.money(amount, prices.currency)

    cells = [row_name(data, one.arm), one.model or "one price for all", money(_THOUSAND * one.request)]
    cells += [money(one.once), money(one.monthly)] if billed else []
    volume = prices.requests_per_day
    return (*cells, money(one.first_year(volume))) if billed and volume else tuple(cells)


def _how_to_read(data: ReportData, prices: Priced, *, billed: bool) -> str:
    said = (
        f"Tokens are those that the trial's model counted; money comes from {prices.source}, and no token is taken as "
        "cached."
    )
    if any(one.model for one in prices.arms.values()):
        said += f" The scores are those of {data.provenance.model}; the models that are priced were not tried."
    if billed:
        return f"{said} Building, upkeep and retraining are the advice's estimates; they were not measured here."
    if data.advice and own_machines(data.advice.bills):
        return (
            f"{said} The advice's bills are for machines of your own, where tokens cost nothing, and are left out here."
        )
    other = data.advice.bills.currency if data.advice else prices.currency
    if other != prices.currency:
        return f"{said} The advice's costs of building and upkeep are in {other} and so are left out."
    return said


def _two_figures(volume: float) -> str:
    """A volume in two figures; more would pretend."""
    return numbers.count(float(f"{volume:.1e}"))


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
