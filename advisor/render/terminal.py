"""The advice on the terminal: what fits a screen or two; the rest is in the documents."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from advisor.questionnaire import printable
from advisor.records import APPROACH_NAMES, Advice, Vote
from advisor.render import words
from harness.publish import numbers

MOST = 3
"""Reasons for and against that are shown of the advised approach; the file has all."""


def show_advice(out: Console, advice: Advice) -> None:
    """Print the advice."""
    _headline(out, advice)
    _ranking(out, advice)
    _reasons(out, advice)
    _changes(out, advice)
    _layers(out, advice)
    _ladder(out, advice)
    _costs(out, advice)
    _watch(out, advice)
    _answers(out, advice)


def heading(out: Console, text: str) -> None:
    """A heading with a blank line before it."""
    out.print()
    out.print(Text(text, style="bold"))


def bullet(out: Console, text: str | Text) -> None:
    """One indented point."""
    body = Text(printable(text)) if isinstance(text, str) else text
    out.print(Padding(Text.assemble("- ", body), (0, 0, 0, 2)))


def _headline(out: Console, advice: Advice) -> None:
    found = advice.recommendation
    best = found.standing(found.approach)
    out.print()
    out.print(Text.assemble("Advice: ", (words.TITLES[best.approach], "bold green")))
    out.print(Text(f"Odds that it is the right one: {best.band} ({words.band_text(best.band)})."))
    if found.runner_up:
        second = found.standing(found.runner_up)
        out.print(Text(f"Runner-up: {APPROACH_NAMES[second.approach]} ({second.band})."))
    out.print(Text(f"{advice.stopped_because[:1].upper()}{advice.stopped_because[1:]}.", style="dim"))
    if advice.experience.verdicts:
        out.print(Text(advice.experience.sentence))


def _ranking(out: Console, advice: Advice) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Approach", no_wrap=True)
    table.add_column("Odds", no_wrap=True)
    table.add_column("Strongest reason")
    for one in advice.recommendation.standings:
        reason = words.strongest_reason(one, advised=one.approach == advice.recommendation.approach)
        style = "bold" if one.approach == advice.recommendation.approach else ""
        table.add_row(Text(words.TITLES[one.approach], style=style), Text(one.band, style=style), Text(reason))
    out.print(table)


def _reasons(out: Console, advice: Advice) -> None:
    best = advice.recommendation.standing(advice.recommendation.approach)
    heading(out, f"Why {APPROACH_NAMES[best.approach]}")
    for word, side in (("for", 1), ("against", -1)):
        for vote in _side(best.votes, side)[:MOST]:
            bullet(out, Text.assemble(f"{word} ({words.signed(vote.weight)}): {vote.reason} ", (_cited(vote), "dim")))
    for conflict in advice.conflicts:
        said, measured = (words.value_text(conflict.key, one.value) for one in (conflict.said, conflict.measured))
        why = f" ({conflict.measured.note})" if conflict.measured.note else ""
        bullet(
            out, f"the data disagree on “{words.question_text(conflict.key)}”: said {said}; measured {measured}{why}"
        )


def _cited(vote: Vote) -> str:
    return f"[{', '.join(vote.sources)}; grade {vote.grade}]"


def _side(votes: tuple[Vote, ...], side: int) -> list[Vote]:
    return [vote for vote in votes if vote.weight * side > 0]


def _changes(out: Console, advice: Advice) -> None:
    heading(out, "What would change the advice")
    for line in change_lines(advice):
        bullet(out, line)


def change_lines(advice: Advice) -> Iterator[str]:
    """The smallest changes, the rank-reversal weight, the open question that matters most."""
    found = advice.sensitivity
    if not found.flips:
        yield "no single change of an answer would"
    for flip in found.flips[:MOST]:
        yield words.flip_text(flip)
    if found.reversals:
        one = found.reversals[0]
        yield (
            f"The reason that carries most: {one.reason} Its lead over the runner-up is {one.weight:.1f} points; "
            f"the two draw level at {one.needed:.1f}."
        )
    if found.open_questions:
        yield f"The unanswered question that matters most: {words.question_text(found.open_questions[0].key)}"


def _layers(out: Console, advice: Advice) -> None:
    heading(out, "Layers")
    for layer in advice.layers:
        bullet(out, f"{layer.name}: {words.use_text(layer.use)}. {layer.reason}")
    out.print(Padding(Text(advice.tuning), (0, 0, 0, 2)))


def _ladder(out: Console, advice: Advice) -> None:
    heading(out, "What to try, in this order")
    for number, step in enumerate(advice.ladder, 1):
        text = Text.assemble(
            f"{number}. ", (step.title, "bold"), f": stop when {step.stop_when}; go on when {step.go_on_when}."
        )
        out.print(Padding(text, (0, 0, 0, 2)))


def _costs(out: Console, advice: Advice) -> None:
    costs = advice.costs
    heading(out, f"Costs at {costs.requests_per_day:,.0f} requests a day (rough; prices of {costs.prices_date})")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Approach", no_wrap=True)
    for title in ("Once", "A month", "1,000 requests", "First year"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in costs.approaches:
        amounts = (one.once, one.monthly, 1000 * one.per_request, one.first_year)
        table.add_row(words.TITLES[one.approach], *(numbers.money(amount, costs.currency) for amount in amounts))
    out.print(table)
    pair = {advice.recommendation.approach, advice.recommendation.runner_up}
    for even in costs.break_evens:
        if {even.first, even.second} == pair:
            bullet(out, even.text)


def _answers(out: Console, advice: Advice) -> None:
    heading(out, "It rests on these answers")
    for one in advice.answers:
        said = words.value_text(one.key, one.value)
        body = f"{words.question_text(one.key)} {said} "
        bullet(out, Text.assemble(printable(body), (f"({words.source_text(one)})", "dim")))


def _watch(out: Console, advice: Advice) -> None:
    heading(out, "Watch")
    bullet(out, f"Risks: {', '.join(risk.name.lower() for risk in advice.risks)}.")
    for item in advice.readiness:
        if item.state != "ready":
            bullet(out, f"{item.item}: {item.state} ({item.have}). {item.todo}")
