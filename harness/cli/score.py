"""`bakeoff score`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import PLACE, at_hand, console, say

if TYPE_CHECKING:
    from harness.remote.url import RemoteUrl


@click.command()
@click.argument("run_folder", metavar="RUN", type=PLACE)
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
def score(run_folder: Path | RemoteUrl, as_json: bool) -> None:
    """Score a finished run's predictions again and draw its verdict again. Loads no model."""
    from harness import api
    from harness.report.terminal import show_scores, show_verdict

    with at_hand([run_folder], writing=True) as (folder,):
        if as_json:
            api.score(folder)
            say((folder / "scores.json").read_text(encoding="utf-8"), nl=False)
            return
        data = api.report_data(folder)
        out = console()
        show_scores(out, data)
        show_verdict(out, data)
