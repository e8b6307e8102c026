"""The advice as something that a trial can refute, and what that trial needs."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.guidance import EVAL_ENOUGH, EVAL_FEW
from advisor.records import APPROACH_NAMES, ARMS_OF, Advice
from advisor.render import words
from advisor.render.sections.summary import can_be_tried
from harness.publish import numbers
from harness.publish.blocks import Block, Bullets, Column, Paragraph, Section, Subheading, Table

COMMANDS = (
    "“bakeoff check FOLDER” says what the data lack.",
    "“bakeoff run FOLDER” runs the trial and decides by the rule.",
    "“bakeoff report RUN --advice advice.json” writes the report of the trial, this advice included.",
)

_HALVES = ("rag", "lora")


def trial_section(advice: Advice) -> Section:
    """Hypothesis, arms, cases, the gain that pays, and the commands."""
    blocks = (*_hypothesis(advice), *_arms(advice), *_cases(advice), *_margin(advice), *_commands(advice))
    return Section("Plan for the trial", "trial", blocks)


def _hypothesis(advice: Advice) -> Iterator[Block]:
    yield Paragraph(f"The advice is a hypothesis that a trial can refute: {advice.hypothesis.text}")
    if not can_be_tried(advice):
        yield Paragraph(
            "The data cannot put it on trial yet: no arm of the advised approach could run. What is missing is in the "
            "section “Data readiness”."
        )


def _arms(advice: Advice) -> Iterator[Block]:
    if not advice.hypothesis.arms:
        return
    rows = tuple((*words.ARMS.get(arm, (arm, "")), _role(arm, advice)) for arm in advice.hypothesis.arms)
    yield Table("Arms worth running", (Column("Arm"), Column("What it does"), Column("Why it takes part")), rows)


def _role(arm: str, advice: Advice) -> str:
    if arm in ARMS_OF[advice.hypothesis.approach]:
        return "It is the advice."
    said = ["It is the runner-up."] if arm in ARMS_OF.get(advice.hypothesis.runner_up or "", ()) else []
    if arm == "prompt":
        said.append("Every other arm has to beat it.")
    elif advice.hypothesis.approach == "rag_fine_tuning" and arm in _HALVES:
        said.append("The combination has to beat each of its halves.")
    elif arm == "nearest_shots":
        tuned = any("lora" in one for one in advice.hypothesis.arms)
        said.append("It needs no training; tuning has to beat it." if tuned else "It shows what examples alone bring.")
    return " ".join(said)


def _cases(advice: Advice) -> Iterator[Block]:
    """How many cases are needed, and what else to bring."""
    yield Subheading("What to bring")
    rows = (
        ("To look at, and to see what kind of mistakes are made", numbers.count(EVAL_FEW)),
        ("To tell two approaches apart that differ by about 9 points", f"about {numbers.count(EVAL_ENOUGH)}"),
    )
    yield Table(
        "Cases with right answers, kept apart from all else", (Column("For what"), Column("Cases", number=True)), rows
    )
    missing = tuple(f"{one.item}: {words.without_code(one.todo)}" for one in advice.readiness if one.todo)
    if missing:
        yield Bullets(missing)


def _margin(advice: Advice) -> Iterator[Block]:
    gain, second = advice.hypothesis.margin_that_pays, advice.hypothesis.runner_up
    yield Subheading("From which gain on it pays")
    if gain is None or second is None:
        yield Paragraph(
            "No such gain is named: it takes the price of a wrong answer (advise --error-cost) and a runner-up, and "
            "there may be no gain that pays."
        )
        return
    pair = [bill for bill in advice.costs.approaches if bill.approach in (advice.hypothesis.approach, second)]
    dear = max(pair, key=lambda bill: bill.first_year).approach
    cheap = next(bill.approach for bill in pair if bill.approach != dear)
    rows = ((f"{words.TITLES[dear]} over {words.TITLES[cheap]}", numbers.gap(gain)),)
    columns = (Column("Dearer over cheaper"), Column("Smallest gain in accuracy that pays within a year", number=True))
    yield Table("Gain that pays", columns, rows)
    yield Paragraph(
        f'With margin = "pays" in scenario.toml the trial decides by it: {APPROACH_NAMES[dear]} has to be better by '
        "at least as much."
    )


def _commands(advice: Advice) -> Iterator[Block]:
    if can_be_tried(advice):
        yield Subheading("How to run it")
        yield Bullets(COMMANDS)
