"""`bakeoff doctor`."""

from __future__ import annotations

import click
from rich import box
from rich.table import Table
from rich.text import Text

from harness.cli.common import console


@click.command()
def doctor() -> None:
    """Say what is installed, what this machine offers, what will be used, and how to get what is missing.

    Exits with 2 where something that a run needs is missing.
    """
    from harness.engines.doctor import Finding, findings
    from harness.remote.kept import FOLDERS

    out = console()
    found: tuple[Finding, ...] = findings(FOLDERS)
    table = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    for line in found:
        mark = Text("ok", style="green") if line.ok else Text("missing", style="bold red")
        table.add_row(mark, Text(line.subject), Text(line.text))
    out.print(table)
    missing = [line for line in found if not line.ok]
    for line in missing:
        out.print(Text(f"{line.subject}: {line.remedy}"))
    if missing:
        raise click.exceptions.Exit(2)
    out.print("Everything is here. Try: bakeoff run scenarios/... --quick, or your own folder.", markup=False)
