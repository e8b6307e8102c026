"""`bakeoff score`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.common import INPUT, console


@click.command()
@click.argument("run_folder", metavar="RUN", type=INPUT)
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
def score(run_folder: Path, as_json: bool) -> None:
    """Score a finished run's predictions again and draw its verdict again. Loads no model."""
    from harness import api
    from harness.report.terminal import show_scores, show_verdict

    if as_json:
        api.score(run_folder)
        click.echo((run_folder / "scores.json").read_text(encoding="utf-8"), nl=False)
        return
    data = api.report_data(run_folder)
    out = console()
    show_scores(out, data)
    show_verdict(out, data)
