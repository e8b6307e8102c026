"""No text can act on the terminal, wherever it is printed."""

import io

from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from harness.publish.console import SafeConsole

EVIL = "\x1b[2Jred\x07 \x9b31m\u202ex"


def printed(*things, terminal=False):
    out = io.StringIO()
    console = SafeConsole(file=out, width=200, force_terminal=terminal, color_system="standard" if terminal else None)
    for thing in things:
        console.print(thing)
    return out.getvalue()


def test_escapes_in_texts_tables_titles_and_markup_are_shown_and_do_nothing():
    table = Table(title=Text(EVIL))
    table.add_column(Text(EVIL))
    table.add_row(EVIL)
    said = printed(EVIL, Text(EVIL), table)
    assert not set("\x1b\x9b\u202e") & set(said)
    assert said.count("␛[2J") == 5


def test_our_own_colours_stay():
    assert printed(Text("bold", style="bold"), terminal=True) == "\x1b[1mbold\x1b[0m\n"
    assert "\x1b[2J" not in printed(Text(EVIL, style="bold"), terminal=True)


def test_progress_is_drawn_as_ever():
    out = io.StringIO()
    with Progress(console=SafeConsole(file=out, force_terminal=True, width=80)) as progress:
        progress.add_task(EVIL, total=2)
    assert "␛[2J" in out.getvalue()
