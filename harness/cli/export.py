"""`bakeoff export`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.common import FOLDER, PLACE, at_hand, say
from harness.remote.url import RemoteUrl


@click.command()
@click.argument("run_folders", metavar="RUN...", type=PLACE, nargs=-1, required=True)
@click.option(
    "--to", type=click.Choice(["parquet", "csv", "mlflow"]), required=True, help="Tables as files, or an MLflow store."
)
@click.option("--out", type=FOLDER, help="Folder to write into (default: exports, or the current folder for mlflow).")
@click.option("--uri", help="The MLflow store: a server or a database (default: a file mlflow.db under --out).")
@click.option("--redact", is_flag=True, help="Mask e-mail addresses, phone, card and id numbers, IBANs and secrets.")
def export(run_folders: tuple[Path | RemoteUrl, ...], to: str, out: Path | None, uri: str | None, redact: bool) -> None:
    """Give finished runs to other programs: rows for notebooks and spreadsheets, or runs for a tracker.

    Loads no model. Without --uri nothing leaves this machine. A run that is in the MLflow store already is not written
    again.
    """
    from harness import api
    from harness.publish.text import visible

    options = api.ExportOptions(to=to, out=out, uri=uri, redact=redact)
    with at_hand(run_folders, writing=False) as folders:
        for line in api.export(*folders, options=options):
            say(visible(line))
