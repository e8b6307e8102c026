"""The verdict, the scores and the costs on a terminal. Nothing of a user's text is read as rich markup."""

from __future__ import annotations

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table as RichTable
from rich.text import Text

from harness.publish import numbers
from harness.publish.blocks import Bar, Fact, Intervals, Table
from harness.publish.text import one_line, visible
from harness.report.data import ReportData
from harness.report.names import arm_label, arm_name
from harness.report.sections import advice, cost, scores, verdict

_BAR_WIDTH = 16
_PANEL_WIDTH = 100
_COST_COLUMNS = (1, 2, 3, 4, 5, 6)
"""Columns of the report's cost table that fit 80 characters."""


def show_verdict(console: Console, data: ReportData) -> None:
    """The verdict in words and the numbers that matter, in a panel."""
    relation = data.verdict.advice
    further = (
        verdict.advice_sentence(relation),
        *relation.reasons,
        *advice.contradiction_lines(relation.contradicted),
        verdict.exploratory_note(data.verdict),
        *data.verdict.cautions,
        verdict.settling(data),
        verdict.QUICK_NOTE if data.scenario.quick else None,
    )
    parts: list[RenderableType] = [_text(console, sentence) for sentence in data.verdict.sentences]
    parts += [Text(), _facts(console, verdict.key_facts(data))]
    said = [_text(console, sentence) for sentence in further if sentence]
    parts += [Text(), *said] if said else []
    title = _text(console, verdict.headline(data.verdict), style="bold")
    width = min(console.width, _PANEL_WIDTH)
    console.print(Panel(Group(*parts), title=title, title_align="left", padding=(1, 2), width=width))


def show_notes(console: Console, data: ReportData) -> None:
    """What the experiments add to the verdict; all of them, and the numbers behind, are in the report."""
    if not data.verdict.notes:
        return
    console.print(_text(console, "What the experiments add", style="bold"))
    for note in data.verdict.notes:
        console.print(Padding(_text(console, f"• {note}"), (0, 0, 0, 1)), width=min(console.width, _PANEL_WIDTH))
    console.print()


def show_table(console: Console, table: Table) -> None:
    """A table of the report."""
    made = RichTable(box=box.SIMPLE_HEAD, title=_text(console, table.caption), title_justify="left", pad_edge=False)
    for column in table.columns:
        made.add_column(_text(console, column.title), justify="right" if column.number else "left")
    for row in table.rows:
        made.add_row(*(_text(console, cell) for cell in row))
    console.print(made)


def show_scores(console: Console, data: ReportData) -> None:
    """Every arm on the rule's metric, with a drawn interval, failures and cut answers."""
    if not data.metrics:
        console.print(_text(console, "No arm was scored."))
        return
    picture = scores.picture(data)
    drawn = {bar.label: _drawn(bar, picture.top) for bar in picture.bars}
    made = _empty_table(console, f"{picture.caption}, {numbers.counted(len(data.cases), 'case')}")
    made.add_column("Arm")
    made.add_column("Score", justify="right", no_wrap=True)
    made.add_column(_text(console, _scale(picture)), no_wrap=True)
    made.add_column("Failed", justify="right")
    made.add_column("Cut", justify="right")
    for arm, (name, score, _cases, failed, cut) in zip(data.arms, scores.main_table(data).rows, strict=True):
        picture_cell = _text(console, drawn.get(name, ""), one=False)
        made.add_row(_arm(console, data, arm, label=arm_label(arm)), _text(console, score), picture_cell, failed, cut)
    console.print(made)
    _show_legend(console, data)


def show_costs(console: Console, data: ReportData) -> None:
    """Tokens, latency, training time and memory of every arm."""
    if not data.costs:
        console.print(_text(console, "Costs were not measured."))
        return
    table = cost.cost_table(data)
    arms = [arm for arm in data.arms if arm in data.cost_of]
    made = _empty_table(console, table.caption)
    made.add_column("Arm")
    for place in _COST_COLUMNS:
        made.add_column(_text(console, table.columns[place].title), justify="right")
    for arm, row in zip(arms, table.rows, strict=True):
        cells = (_text(console, row[place].replace(numbers.NOT_MEASURED, "–")) for place in _COST_COLUMNS)
        made.add_row(_arm(console, data, arm, label=arm_name(arm)), *cells)
    console.print(made)
    _show_legend(console, data, "– not measured")


def _arm(console: Console, data: ReportData, arm: str, *, label: str) -> Text:
    """An arm's label behind an arrow where it is the recommended one."""
    recommended = arm == data.verdict.arm
    return _text(console, f"→ {label}" if recommended else f"  {label}", style="bold" if recommended else "", one=False)


def _show_legend(console: Console, data: ReportData, *more: str) -> None:
    parts = [*(["→ recommended"] if data.verdict.arm else []), *more]
    if parts:
        console.print(_text(console, f"  {', '.join(parts)}\n", style="dim", one=False))


def _empty_table(console: Console, caption: str) -> RichTable:
    return RichTable(
        box=box.SIMPLE_HEAD, title=_text(console, caption, style="bold"), title_justify="left", padding=(0, 1, 0, 0)
    )


def _facts(console: Console, facts: tuple[Fact, ...]) -> RichTable:
    made = RichTable.grid(padding=(0, 2))
    for fact in facts:
        value = _text(console, fact.value, style="bold")
        remark = _text(console, f"({fact.remark})" if fact.remark else "")
        made.add_row(_text(console, fact.label), Group(value, remark) if fact.remark else value)
    return made


def _drawn(bar: Bar, top: float) -> str:
    """`  ──●──  `: the interval and the value on an axis from 0 to `top`."""
    low, value, high = (_place(number, top) for number in (bar.low, bar.value, bar.high))
    signs = ("●" if place == value else "─" if low <= place <= high else " " for place in range(_BAR_WIDTH))
    return "".join(signs)


def _place(value: float, top: float) -> int:
    return min(_BAR_WIDTH - 1, max(0, round(value / top * (_BAR_WIDTH - 1))))


def _scale(picture: Intervals) -> str:
    """The axis' ends, set apart to the width of the drawing."""
    first, last = picture.ticks[0][1].split()[0], picture.ticks[-1][1]
    return first + last.rjust(_BAR_WIDTH - len(first))


def _text(console: Console, text: str, *, style: str = "", one: bool = True) -> Text:
    """Plain text that this console can write: no markup, no control characters, no letters outside its encoding.

    `one` brings it onto one line and trims it.
    """
    encoding = console.encoding or "utf-8"
    return Text((one_line(text) if one else visible(text)).encode(encoding, "replace").decode(encoding), style=style)
