"""`bakeoff export`."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from harness.cli.common import PLACE, at_hand, say
from harness.errors import UserError
from harness.remote.url import RemoteUrl


@click.command()
@click.argument("run_folders", metavar="RUN...", type=PLACE, nargs=-1, required=True)
@click.option(
    "--to", type=click.Choice(["parquet", "csv", "mlflow"]), required=True, help="Tables as files, or an MLflow store."
)
@click.option("--out", type=PLACE, help="Folder or, for tables, URL to write into (default: exports; for mlflow here).")
@click.option("--uri", help="The MLflow store: a server or a database (default: a file mlflow.db under --out).")
@click.option("--redact", is_flag=True, help="Mask e-mail addresses, phone, card and id numbers, IBANs and secrets.")
def export(
    run_folders: tuple[Path | RemoteUrl, ...], to: str, out: Path | RemoteUrl | None, uri: str | None, redact: bool
) -> None:
    """Give finished runs to other programs: rows for notebooks and spreadsheets, or runs for a tracker.

    Loads no model. Nothing leaves this machine but to what --uri or --out names. A run that is in the MLflow store
    already is not written again.
    """
    from harness import api
    from harness.publish.text import visible

    if isinstance(out, RemoteUrl) and to == "mlflow":
        raise UserError(f"--out is a folder on this machine for --to mlflow; got {out}. A server is named with --uri.")
    with contextlib.ExitStack() as held:
        where = held.enter_context(api.sent_to(out)) if isinstance(out, RemoteUrl) else out
        folders = held.enter_context(at_hand(run_folders, writing=False))
        lines = api.export(*folders, options=api.ExportOptions(to=to, out=where, uri=uri, redact=redact))
    for line in lines:
        say(visible(line.replace(str(where), str(out)) if isinstance(out, RemoteUrl) else line))
