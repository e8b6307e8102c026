"""`bakeoff report`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.common import INPUT


@click.command()
@click.argument("run_folder", metavar="RUN", type=INPUT)
def report(run_folder: Path) -> None:
    """Write report.md and report.html of a finished run. Loads no model."""
    from harness import api

    for path in api.report(run_folder):
        click.echo(f"Wrote {path}")
