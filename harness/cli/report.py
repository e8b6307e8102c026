"""`bakeoff report`."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from harness.cli.common import INPUT, PLACE, at_hand, say
from harness.remote.url import RemoteUrl


@click.command()
@click.argument("run_folders", metavar="RUN...", type=PLACE, nargs=-1, required=True)
@click.option(
    "--format",
    "formats",
    default="md,html",
    show_default=True,
    help="Formats, comma separated: html, pdf, docx, pptx, md.",
)
@click.option("--advice", type=INPUT, help="The advice.json of this use case: answers, costs and next steps join in.")
@click.option("--for", "client", type=INPUT, help="A client.toml: names, logo, colour, contact, prices.")
@click.option(
    "--template", "templates", type=INPUT, multiple=True, help="Your house's .docx or .pptx; may be given for each."
)
@click.option("--redact", is_flag=True, help="Mask e-mail addresses, phone, card and id numbers, IBANs and secrets.")
@click.option("--out", type=PLACE, help="Folder or URL to write into (default: the first RUN's).")
def report(  # one parameter an option
    run_folders: tuple[Path | RemoteUrl, ...],
    *,
    formats: str,
    advice: Path | None,
    client: Path | None,
    templates: tuple[Path, ...],
    redact: bool,
    out: Path | RemoteUrl | None,
) -> None:
    """Write the report of a finished run. Loads no model.

    With several RUNs the report is about the first one and says what changed in the others.
    """
    from harness import api
    from harness.publish.text import visible
    from harness.publish.write import formats_in

    first, *others = run_folders
    with contextlib.ExitStack() as held:
        folders = held.enter_context(at_hand([first], writing=out is None))
        folders += held.enter_context(at_hand(others, writing=False))
        where = held.enter_context(api.sent_to(out)) if isinstance(out, RemoteUrl) else out
        options = api.ReportOptions(formats_in(formats), advice, client, templates, where, redact=redact)
        made = api.report(*folders, options=options)
    there = out or first
    for path in made:
        say(f"Wrote {visible(f'{there}/{path.name}' if isinstance(there, RemoteUrl) else str(path))}")
