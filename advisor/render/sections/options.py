"""The approaches that were weighed: odds, what rules some out, and the reasons for and against each."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.records import Advice, Standing, Vote
from advisor.render import words
from harness.publish.blocks import Block, Column, Paragraph, Section, Subheading, Table

MOST_REASONS = 4
"""For an approach, and as many against it."""

_REASON_COLUMNS = (
    Column("Side"), Column("Points", number=True), Column("Reason"), Column("Grade"), Column("Sources"),
)  # fmt: skip


def options_section(advice: Advice) -> Section:
    """The ranking, then a table of reasons for each approach."""
    return Section("The options considered", "options", (*_ranking(advice), *_reasons(advice)))


def _ranking(advice: Advice) -> Iterator[Block]:
    found = advice.recommendation
    advised = {one.approach: one.approach == found.approach for one in found.standings}
    rows = tuple(
        (
            f"{words.TITLES[one.approach]} (advised)" if advised[one.approach] else words.TITLES[one.approach],
            words.EXPLANATIONS[one.approach],
            words.capital(one.band),
            words.capital(words.strongest_reason(one, advised=advised[one.approach])),
        )
        for one in found.standings
    )
    columns = (Column("Approach"), Column("What it is"), Column("Odds"), Column("What weighs most"))
    marked = frozenset(place for place, one in enumerate(found.standings) if advised[one.approach])
    if any(one.vetoes for one in found.standings):
        yield Paragraph(
            "An approach is ruled out where something absolute stands against it, whatever else speaks for it."
        )
    yield Table("Approaches, by the odds that each is the right one", columns, rows, marked)


def _reasons(advice: Advice) -> Iterator[Block]:
    yield Subheading("Reasons for and against")
    yield Paragraph(
        "Points say how heavily a reason was counted, for an approach (+) or against it (−). Grades say what it rests "
        f"on: {', '.join(f'{grade} {text}' for grade, text in words.GRADES.items())}. The appendix lists the sources."
    )
    silent = []
    for one in advice.recommendation.standings:
        rows = tuple(_rows(one))
        if rows:
            yield Table(f"{words.TITLES[one.approach]}: reasons, strongest first", _REASON_COLUMNS, rows)
        else:
            silent.append(words.TITLES[one.approach])
    if silent:
        yield Paragraph(f"Nothing that was answered speaks for or against: {', '.join(silent)}.")
    if any(_is_cut(one) for one in advice.recommendation.standings):
        yield Paragraph("Weaker reasons are left out here; advice.json has all of them.", note=True)


def _rows(standing: Standing) -> Iterator[tuple[str, ...]]:
    for veto in standing.vetoes:
        yield ("Ruled out", "", veto.reason, "", ", ".join(veto.sources))
    for word, side in (("For", 1), ("Against", -1)):
        for vote in _side(standing, side)[:MOST_REASONS]:
            yield (word, _points(vote.weight), vote.reason, vote.grade, ", ".join(vote.sources))


def _points(weight: float) -> str:
    return words.signed(weight).replace("-", "−")


def _is_cut(standing: Standing) -> bool:
    return any(len(_side(standing, side)) > MOST_REASONS for side in (1, -1))


def _side(standing: Standing, side: int) -> list[Vote]:
    return [vote for vote in standing.votes if vote.weight * side > 0]
