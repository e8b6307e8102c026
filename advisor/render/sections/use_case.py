"""The use case as it was answered: who said what, and where the data say otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.records import Advice
from advisor.render import words
from harness.publish.blocks import Block, Column, Paragraph, Place, Section, Subheading, Table


def use_case_section(advice: Advice) -> Section:
    """All answers with their sources, then the conflicts."""
    return Section("The use case as answered", "use-case", (*_answers(advice), *_conflicts(advice)), place=Place.DETAIL)


def _answers(advice: Advice) -> Iterator[Block]:
    if not advice.answers:
        yield Paragraph("No question was answered; the odds rest on what is usual.")
        return
    rows = tuple(
        (words.question_text(one.key), words.value_text(one.key, one.value), words.said_by(one))
        for one in advice.answers
    )
    yield Table("Answers that the advice rests on", (Column("Question"), Column("Answer"), Column("From")), rows)
    yield Paragraph("What is not in this table was not asked or not answered; the odds allow for its usual answers.")


def _conflicts(advice: Advice) -> Iterator[Block]:
    if not advice.conflicts:
        return
    yield Subheading("Where the data say otherwise")
    rows = tuple(
        (
            words.question_text(one.key),
            words.value_text(one.key, one.said.value),
            words.value_text(one.key, one.measured.value),
            one.measured.note,
        )
        for one in advice.conflicts
    )
    columns = (Column("Question"), Column("Said"), Column("Measured"), Column("How"))
    yield Table("Answers that the data contradict", columns, rows)
    yield Paragraph("The advice goes by what was said. Settle these before relying on it.")
