"""What to build: the layers of the system, and the order in which to try them."""

from __future__ import annotations

from advisor.records import Advice, Step
from advisor.render import words
from harness.publish.blocks import Column, Paragraph, Section, Table


def layers_section(advice: Advice) -> Section:
    """Which layers to use now, later or not, and which kind of tuning."""
    rows = tuple((one.name, words.capital(words.use_text(one.use)), one.reason) for one in advice.layers)
    table = Table("Layers, in the order in which they act on a request", _columns("Layer", "Use it", "Why"), rows)
    return Section("Layers of the system", "layers", (table, Paragraph(f"On tuning: {advice.tuning}")))


def ladder_section(advice: Advice) -> Section:
    """The simplest first, with the signs to stop and to go on."""
    rows = tuple(_step(number, step) for number, step in enumerate(advice.ladder, 1))
    table = Table("Steps, each only if the one before falls short", _columns(*_STEP_TITLES), rows)
    return Section("What to try, in this order", "ladder", (table,))


_STEP_TITLES = ("Step", "What to do", "Stop here when", "Go on when")


def _step(number: int, step: Step) -> tuple[str, ...]:
    stop, go_on = (words.capital(text) for text in (step.stop_when, step.go_on_when))
    return f"{number}. {step.title}", step.what, f"{stop}.", f"{go_on}."


def _columns(*titles: str) -> tuple[Column, ...]:
    return tuple(Column(title) for title in titles)
