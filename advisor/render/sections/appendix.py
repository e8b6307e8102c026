"""For the reader who checks: the sources of the reasons, and how the odds come about."""

from __future__ import annotations

import re
from collections.abc import Iterator

from advisor.records import APPROACH_NAMES, Advice
from advisor.render import words
from advisor.rules import load_knowledge
from harness.publish import numbers
from harness.publish.blocks import Block, Bullets, Column, Fact, Facts, Paragraph, Place, Section, Table

_DIGITS = 12
"""Of a digest, as shown."""

_HOW = (
    "Every rule of the knowledge whose condition the answers meet gives points for or against approaches; its grade "
    "says how far it counts, and related reasons count only in part.",
    "Points add up to odds. An approach that is ruled out has none.",
    "Questions without an answer are not guessed: the odds are the average over what is usual for such a use case.",
    "A share of the odds is spread evenly over all approaches that are not ruled out, because published outcomes often "
    "go against what a use case's traits say.",
)


def sources_section(advice: Advice) -> Section:
    """Every source that a shown or counted reason names."""
    known = load_knowledge().sources
    rows = tuple((one, known.get(one, "not in this version of the knowledge")) for one in _cited(advice))
    blocks: tuple[Block, ...] = (
        (Table("What the names in the tables of reasons stand for", (Column("Name"), Column("Source")), rows),)
        if rows
        else (Paragraph("No reason was counted, so there is no source to name."),)
    )
    return Section("Sources of the reasons", "sources", blocks, place=Place.APPENDIX)


def method_section(advice: Advice) -> Section:
    """How answers become odds, what the odds mean, and what this advice was made with."""
    blocks = (Bullets(_HOW), _bands(), *_experience(advice), Facts(tuple(_facts(advice))))
    return Section("How the odds come about", "method", blocks, place=Place.APPENDIX)


def _cited(advice: Advice) -> list[str]:
    standings = advice.recommendation.standings
    named = {source for one in standings for vote in one.votes for source in vote.sources}
    named |= {source for one in standings for veto in one.vetoes for source in veto.sources}
    return sorted(named, key=_natural)


def _natural(source: str) -> tuple[str, int]:
    """A2 before A10."""
    digits = re.sub(r"\D", "", source)[:9]
    return re.sub(r"\d", "", source), int(digits or 0)


def _bands() -> Table:
    rows = tuple((words.capital(band), words.capital(text)) for band, text in words.BANDS.items())
    columns = (Column("Odds"), Column("How often such advice should turn out right"))
    return Table("What the words for odds mean", columns, rows)


def _experience(advice: Advice) -> Iterator[Block]:
    """What earlier bake-offs of the same firm added; nothing where there were none."""
    past = advice.experience
    if not past.verdicts:
        return
    rows = [
        ("Earlier bake-offs like this use case", numbers.count(past.verdicts)),
        ("Same advice, confirmed", numbers.count(past.confirmed)),
        ("Same advice, refuted", numbers.count(past.refuted)),
        ("Same advice, undecided", numbers.count(past.undecided)),
    ]
    rows += [
        (f"Points added: {APPROACH_NAMES.get(approach, approach)}", words.signed(points).replace("-", "−"))
        for approach, points in past.shifts.items()
    ]
    columns = (Column("What"), Column("Number", number=True))
    yield Table("What earlier bake-offs of the same firm say", columns, tuple(rows))


def _facts(advice: Advice) -> Iterator[Fact]:
    yield Fact("Given on", numbers.date(advice.created))
    yield Fact("Questions asked", numbers.count(advice.asked), advice.stopped_because)
    yield Fact("Price table", numbers.date(advice.costs.prices_date), advice.costs.currency)
    yield Fact("Knowledge", advice.knowledge_digest[:_DIGITS], "first digits of the digest (SHA-256) of its rules")
