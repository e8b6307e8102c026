"""`advise report`."""

from __future__ import annotations

from pathlib import Path

import click

from advisor.cli.documents import document_options


@click.command()
@click.argument("advice", type=click.Path(path_type=Path))
@document_options
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write into (default: that of ADVICE).")
def report(
    advice: Path, *, formats: str | None, client: Path | None, templates: tuple[Path, ...], out: Path | None
) -> None:
    """Make the documents of an ADVICE.json again, in other formats or for a client."""
    from advisor.api import read_json
    from advisor.cli.documents import form_of, write_advice

    form = form_of(formats, client, templates)
    for path in write_advice(read_json(advice), out or advice.parent, form):
        click.echo(f"Wrote {path}")
