"""What would change the advice: single answers, weights of reasons, and questions that nobody has answered."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.records import APPROACH_NAMES, Advice
from advisor.render import words
from harness.publish.blocks import Block, Bullets, Column, Paragraph, Section, Subheading, Table


def changes_section(advice: Advice) -> Section:
    """The answers first; their list is what a report of a trial takes up."""
    blocks = (*_flips(advice), *_reversals(advice), *_open_questions(advice))
    return Section("What would change the advice", "changes", blocks)


def _flips(advice: Advice) -> Iterator[Block]:
    flips = advice.sensitivity.flips
    if not flips:
        yield Paragraph("No other answer to a single question would change the advice.")
        return
    yield Paragraph("Each of these, by itself and with all other answers as they are, changes the advice:")
    yield Bullets(tuple(words.flip_text(flip) for flip in flips))


def _reversals(advice: Advice) -> Iterator[Block]:
    found, second = advice.sensitivity.reversals, advice.recommendation.runner_up
    if not found or second is None:
        return
    best = APPROACH_NAMES[advice.recommendation.approach]
    yield Subheading("How much each reason carries")
    yield Paragraph(
        f"Each of these reasons gives {best} a lead over {APPROACH_NAMES[second]}, the runner-up. The last column is "
        "the lead at which the two would draw level, all else as it is; a minus sign means that the reason would have "
        "to speak for the runner-up instead."
    )
    rows = tuple((one.reason, _points(one.weight), _points(one.needed)) for one in found)
    columns = (Column("Reason"), Column("Lead, points", number=True), Column("Level at", number=True))
    yield Table("Reasons that carry the advice, the most critical first", columns, rows)


def _points(points: float) -> str:
    return f"{points:.1f}".replace("-", "−").replace("−0.0", "0.0")


def _open_questions(advice: Advice) -> Iterator[Block]:
    found = advice.sensitivity.open_questions
    if not found:
        return
    rows = tuple((words.question_text(one.key), "yes" if one.could_flip else "no") for one in found)
    columns = (Column("Question"), Column("Could change the advice"))
    yield Subheading("Questions that nobody has answered")
    yield Table("Open questions, the most informative first", columns, rows)
