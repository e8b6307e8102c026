"""What can go wrong later, what has to be kept up, and whether the data are ready."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.records import APPROACH_NAMES, Advice
from advisor.render import words
from harness.publish import numbers
from harness.publish.blocks import Block, Column, Paragraph, Section, Table


def risks_section(advice: Advice) -> Section:
    """Risks with what to watch, and what is to be paid every month."""
    return Section("Risks and upkeep", "risks", (*_risks(advice), *_upkeep(advice)))


def readiness_section(advice: Advice) -> Section:
    """What is there, what is missing, what to do about it."""
    rows = tuple(
        (one.item, words.capital(one.state), one.have, words.without_code(one.todo) or "Nothing.")
        for one in advice.readiness
    )
    columns = (Column("Item"), Column("State"), Column("There is"), Column("To do"))
    approach = APPROACH_NAMES[advice.recommendation.approach]
    return Section("Data readiness", "readiness", (Table(f"What {approach} and its trial need", columns, rows),))


def _risks(advice: Advice) -> Iterator[Block]:
    if not advice.risks:
        yield Paragraph("No risk is known that this use case has and others have not.")
        return
    rows = tuple((one.name, one.text, one.watch) for one in advice.risks)
    yield Table("Risks to watch", (Column("Risk"), Column("What can happen"), Column("What to watch")), rows)


def _upkeep(advice: Advice) -> Iterator[Block]:
    """What the advised approach costs a month, whatever the number of requests."""
    currency, approach = advice.costs.currency, advice.recommendation.approach
    bill = next(one for one in advice.costs.approaches if one.approach == approach)
    rows = tuple(
        (words.capital(item.name), numbers.money(item.amount, currency), words.reckoned(item.how))
        for item in bill.items
        if item.per == "month"
    )
    if rows:
        columns = (Column("Item"), Column("A month", number=True), Column("How it is reckoned"))
        yield Table(f"What {APPROACH_NAMES[approach]} costs every month beside the requests, estimated", columns, rows)
