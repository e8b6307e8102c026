import io
import re
from dataclasses import replace

import builders
import pytest
from rich.console import Console

from harness.report.terminal import show_costs, show_notes, show_scores, show_verdict


def printed(data, *, width=80, colour=False):
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=colour, color_system="standard" if colour else None)
    for show in (show_verdict, show_scores, show_costs):
        show(console, data)
    return out.getvalue()


def test_the_winner_is_readable_in_eighty_columns_without_colour():
    lines = [line.rstrip() for line in printed(builders.winner()).splitlines()]
    assert lines[0].startswith("╭─ RAG + LoRA wins ─")
    assert "  Exact match of RAG + LoRA  75 % (62 to 87 %)" in lines[8]
    assert " → RAG + LoRA                 75 % (62 to 87 %)           ──●──         0    0" in lines
    assert " → RAG + LoRA           612         7.4  0.8 s  1.4 s  3 min 20 s       1.4 GB" in lines
    assert max(map(len, lines)) <= 80


def test_what_became_of_the_advice_stands_below_the_verdict_with_the_answers_it_contradicts():
    said = " ".join(printed(builders.winner(), width=100).replace("│", " ").split())
    assert (
        "The advice was retrieval (RAG). This trial refutes it. RAG + LoRA beats RAG by 20 points, beyond chance"
        in said
    )
    assert "You said that style and form matter most (typed). The misses are missing facts" in said


@pytest.mark.parametrize("build", builders.ALL_KINDS)
@pytest.mark.parametrize("width", [60, 80, 140])
def test_every_verdict_keeps_to_the_width(build, width):
    assert max(map(len, printed(build(), width=width).splitlines())) <= width


@pytest.mark.parametrize("text", ["[bold]loud[/bold]", "[/]", "[link=file:///x]y[/link]", ":smile:", "a[0]"])
def test_rich_markup_in_a_users_text_stays_text(text):
    assert text in printed(builders.with_text(text), width=140)


def test_terminal_escapes_in_a_users_text_are_shown_and_do_not_act():
    shown = printed(builders.with_text("\x1b[31mred\x1b]0;title\x07 \x9b2J"), colour=True)
    assert "␛[31mred␛]0;title␇ <U+009B>2J" in re.sub("\x1b\\[[0-9;]*m", "", shown)
    assert not re.search("\x1b(?!\\[[0-9;]*m)|[\x07\x9b]", shown)


def test_a_console_that_knows_only_ascii_gets_something_it_can_write():
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    console = Console(file=out, width=80)
    for show in (show_verdict, show_scores, show_costs):
        show(console, builders.winner())
    out.flush()
    assert b"RAG + LoRA wins" in raw.getvalue()


@pytest.mark.parametrize("notes", [(), ("Judges agree: kappa 0.4.", "[b]Form[/b] explains half of the lead.")])
def test_what_experiments_add_stands_below_where_there_is_any(notes):
    data, out = builders.winner(), io.StringIO()
    show_notes(Console(file=out, width=80), replace(data, verdict=replace(data.verdict, notes=notes)))
    lines = [line.strip() for line in out.getvalue().splitlines() if line.strip()]
    assert lines == (["What the experiments add", *(f"• {note}" for note in notes)] if notes else [])
