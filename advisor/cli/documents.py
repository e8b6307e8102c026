"""Which documents are asked for, and writing them: shared by the commands that make any."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from advisor.errors import UserError
from harness.publish.brand import PLAIN, Brand

if TYPE_CHECKING:
    from advisor.records import Advice

NAME = "advice"
PICTURE = "advice-costs.svg"

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Form:
    """In which formats, with whose name on it, and in whose template."""

    formats: tuple[str, ...] = ("md",)
    brand: Brand = PLAIN
    templates: dict[str, bytes] = field(default_factory=dict)
    """Format (`docx`, `pptx`) -> the house template."""


USUAL_FORM = Form()


def document_options(command: Command) -> Command:
    """Adds --format, --for and --template, which come as `formats`, `client` and `templates`."""
    path = click.Path(path_type=Path)
    for option in (
        click.option(
            "--template",
            "templates",
            type=path,
            multiple=True,
            help="Your house's .docx or .pptx; may be given for each.",
        ),
        click.option("--for", "client", type=path, help="A client.toml: names, logo, colour, contact."),
        click.option(
            "--format", "formats", help="Documents, comma separated: html, pdf, docx, pptx, md (default: md)."
        ),
    ):
        command = option(command)
    return command


def form_of(formats: str | None, client: Path | None, templates: tuple[Path, ...]) -> Form:
    """What the options say, all of it read and checked.

    Raises:
        UserError: a template that no format asked for; and the harness's: an unknown format, a client.toml or template
            that cannot be used.
    """
    if formats is None and client is None and not templates:
        return USUAL_FORM
    from harness.publish.client_file import read_client
    from harness.publish.write import formats_in, templates_in

    named = formats_in(formats) if formats is not None else USUAL_FORM.formats
    houses = templates_in(templates)
    for kind in houses:
        if kind not in named:
            raise UserError(f"--template was given a .{kind} file, but no {kind} is to be made; add --format {kind}")
    return Form(named, read_client(client).brand if client else PLAIN, houses)


def write_advice(advice: Advice, folder: Path, form: Form) -> tuple[Path, ...]:
    """Writes `advice.FORMAT` for each format, and the picture of costs; earlier ones are kept under another name.

    All are made before the first one is put in its place. Returns the documents' paths.

    Raises:
        UserError: the folder cannot be written, or (the harness's) a template is none.
    """
    from advisor.api import keep_older

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{NAME}-") as name:
            made = _made(advice, Path(name), form)
            for path in made:
                keep_older(folder / path.name)
                path.replace(folder / path.name)
    except OSError as error:
        raise UserError(
            f"{error.filename or folder} cannot be written ({error.strerror}); name another folder with --out"
        ) from None
    return tuple(folder / path.name for path in made if path.name != PICTURE)


def _made(advice: Advice, folder: Path, form: Form) -> list[Path]:
    from advisor.render.document import advice_report
    from advisor.render.sections.costs import cost_picture
    from harness.publish.charts import Look, svg
    from harness.publish.write import write_documents

    picture = folder / PICTURE
    picture.write_text(svg(cost_picture(advice), Look(accent=form.brand.accent)), encoding="utf-8")
    made = [picture]
    for kind in form.formats:
        report = advice_report(advice, picture_file=PICTURE if kind == "md" else "")
        made += write_documents(report, folder, formats=(kind,), name=NAME, brand=form.brand, templates=form.templates)
    return made
