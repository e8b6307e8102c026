"""What each approach costs, as a table, as a picture against the volume, and where one becomes cheaper than another."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.records import APPROACHES, Advice, ApproachCost, BreakEven, Costs
from advisor.render import words
from advisor.render.sections.summary import THOUSAND, volume_is_known
from harness.publish import numbers
from harness.publish.axes import log_axis
from harness.publish.blocks import (
    Block,
    Bullets,
    Column,
    Dot,
    Line,
    Lines,
    Paragraph,
    Place,
    Section,
    Subheading,
    Table,
)

_NARROW = 2
"""Powers of ten up to which an axis is marked in between, too."""


def costs_section(advice: Advice, *, picture_file: str = "") -> Section:
    """The bills side by side, the picture, break-even volumes, and what was assumed.

    `picture_file`: a file beside a document that shows no pictures.
    """
    where = f"The picture of cost against volume is in the file {picture_file}."
    blocks: tuple[Block, ...] = (
        Paragraph(_intro(advice)),
        _table(advice),
        *_own_machines(advice.costs),
        cost_picture(advice),
        *([Paragraph(where)] if picture_file else []),
        *_break_evens(advice),
        *_assumptions(advice),
    )
    return Section("Estimated costs", "costs", blocks)


def bills_section(advice: Advice) -> Section:
    """Every approach's bill, item by item."""
    blocks = tuple(_items(bill, advice.costs.currency) for bill in advice.costs.approaches)
    return Section("The estimated bills, item by item", "bills", blocks, place=Place.APPENDIX)


def cost_picture(advice: Advice) -> Lines:
    """First-year cost against requests a day, both logarithmic: a line an approach, a dot where the advised one costs
    as much as another (marked: the runner-up), an upright line at the asked volume."""
    costs, found = advice.costs, advice.recommendation
    asked = costs.requests_per_day
    caption = (
        f"First-year cost ({costs.currency}) against requests a day; marks show where the advised approach "
        "costs as much as another"
    )
    volumes = [point.requests_per_day for point in costs.curve]
    lines = tuple(_line(approach, costs, advised=approach == found.approach) for approach in APPROACHES)
    amounts = [amount for line in lines for _, amount in line.points]
    return Lines(
        caption,
        log_axis("Requests a day", volumes, numbers.count),
        log_axis(f"First year, {costs.currency}", amounts, lambda amount: numbers.money(amount, costs.currency)),
        lines,
        _in_words(advice),
        dots=tuple(_dots(advice)),
        upright=((asked, f"{_volume_words(advice)}: {numbers.count(asked)} a day"),) if asked >= volumes[0] else (),
    )


def _intro(advice: Advice) -> str:
    costs = advice.costs
    said = "as was said" if volume_is_known(advice) else "an assumption: nobody said how many there will be"
    return (
        f"Estimates at {numbers.count(costs.requests_per_day)} requests a day ({said}), in {costs.currency}, with the "
        f"price table of {numbers.date(costs.prices_date)}. They are rough: they compare approaches, and are no offer."
    )


def _table(advice: Advice) -> Table:
    costs, advised = advice.costs, advice.recommendation.approach
    rows = tuple(_row(bill, costs.currency, advised=bill.approach == advised) for bill in costs.approaches)
    marked = frozenset(place for place, bill in enumerate(costs.approaches) if bill.approach == advised)
    titles = ("Once", "A month", f"{numbers.count(THOUSAND)} requests", "First year")
    columns = (Column("Approach"), *(Column(title, number=True) for title in titles))
    return Table("Costs side by side", columns, rows, marked)


def _own_machines(costs: Costs) -> Iterator[Block]:
    if all(bill.per_request == 0 and bill.monthly > 0 for bill in costs.approaches):
        yield Paragraph(
            "The model runs on machines of one's own, which are paid by the month: a further request costs nothing "
            "until one more machine is needed."
        )


def _row(bill: ApproachCost, currency: str, *, advised: bool) -> tuple[str, ...]:
    amounts = (bill.once, bill.monthly, THOUSAND * bill.per_request, bill.first_year)
    name = f"{words.TITLES[bill.approach]} (advised)" if advised else words.TITLES[bill.approach]
    return (name, *(numbers.money(amount, currency) for amount in amounts))


def _items(bill: ApproachCost, currency: str) -> Table:
    rows = tuple(
        (words.capital(item.name), numbers.money(item.amount, currency), item.per, words.reckoned(item.how))
        for item in bill.items
    )
    columns = (Column("Item"), Column("Amount", number=True), Column("Per"), Column("How it is reckoned"))
    return Table(f"{words.TITLES[bill.approach]}: the bill", columns, rows)


def _break_evens(advice: Advice) -> Iterator[Block]:
    """Against each other approach."""
    advised = advice.recommendation.approach
    said = tuple(one.text for one in advice.costs.break_evens if advised in (one.first, one.second))
    if said:
        yield Bullets(said)


def _assumptions(advice: Advice) -> Iterator[Block]:
    if advice.costs.assumptions:
        yield Subheading("What was assumed")
        rows = tuple(
            (words.capital(one.name), one.value, words.capital(one.because)) for one in advice.costs.assumptions
        )
        yield Table("Assumed where nothing was said", (Column("What"), Column("Taken as"), Column("Why")), rows)


# ---- the picture


def _line(approach: str, costs: Costs, *, advised: bool) -> Line:
    points = tuple((point.requests_per_day, _drawn(point.first_year[approach])) for point in costs.curve)
    return Line(words.TITLES[approach], points, tone=APPROACHES.index(approach), marked=advised)


def _drawn(amount: float) -> float:
    """A logarithm needs something above 0, and nobody cares below 1."""
    return max(1.0, amount)


def _dots(advice: Advice) -> Iterator[Dot]:
    found = advice.recommendation
    amounts = {point.requests_per_day: point.first_year for point in advice.costs.curve}
    for one in advice.costs.break_evens:
        volume = one.requests_per_day
        if volume in amounts and found.approach in (one.first, one.second):
            ring = found.runner_up in (one.first, one.second)
            yield Dot("", volume, _drawn(amounts[volume][one.second]), marked=ring)


def _in_words(advice: Advice) -> str:
    """The picture for those who cannot see it."""
    costs, found = advice.costs, advice.recommendation
    amounts = ", ".join(
        f"{words.TITLES[bill.approach]} {numbers.money(bill.first_year, costs.currency)}" for bill in costs.approaches
    )
    even = _with_runner_up(advice)
    text = (
        f"First-year cost in {costs.currency} against requests a day, both on logarithmic scales, a line for each "
        f"approach. At {numbers.count(costs.requests_per_day)} requests a day: {amounts}. Advised: "
        f"{words.TITLES[found.approach]}."
    )
    return f"{text} {even.text}" if even else text


def _with_runner_up(advice: Advice) -> BreakEven | None:
    pair = {advice.recommendation.approach, advice.recommendation.runner_up}
    return next((one for one in advice.costs.break_evens if {one.first, one.second} == pair), None)


def _volume_words(advice: Advice) -> str:
    return "this use case" if volume_is_known(advice) else "assumed"
