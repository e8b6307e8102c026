"""`bakeoff history`."""

from __future__ import annotations

from pathlib import Path

import click
from rich import box
from rich.table import Table
from rich.text import Text

from harness.cli.common import PLACE, console
from harness.remote.url import RemoteUrl


@click.command()
@click.option(
    "--runs", "runs_folder", type=PLACE, default="runs", show_default=True, help="The folder with the runs, or its URL."
)
def history(runs_folder: Path | RemoteUrl) -> None:
    """List the runs made in a folder, newest first, with their verdicts."""
    from harness import api
    from harness.report.names import arm_name
    from harness.report.sections.verdict import headline

    found = api.history(runs_folder)
    out = console()
    if not found:
        out.print(f"No runs under {runs_folder} yet. Begin with: bakeoff run DIR", markup=False, soft_wrap=True)
        return
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("When (UTC)", "Run", "Verdict", "Recommended"):
        table.add_column(name, overflow="fold")
    for run in found:
        verdict = run.verdict
        said = headline(verdict) if verdict else "not finished: the same command goes on"
        advised = arm_name(verdict.arm) if verdict and verdict.arm else ""
        table.add_row(run.created[:16].replace("T", " "), Text(str(run.path)), Text(said), Text(advised))
    out.print(table)
