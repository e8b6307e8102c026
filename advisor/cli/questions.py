"""`advise questions`."""

from __future__ import annotations

from pathlib import Path

import click

FORMATS = ("docx", "md", "html", "pdf")
"""A workshop fills in a document; nobody fills in slides."""


@click.command()
@click.option("--toml", "as_toml", is_flag=True, help="An answers file to fill in instead of a handout.")
@click.option("--format", "kind", type=click.Choice(FORMATS), help="Write the handout for a workshop as a file.")
@click.option("--for", "client", type=click.Path(path_type=Path), help="A client.toml: names, logo, colour, contact.")
@click.option("--template", type=click.Path(path_type=Path), help="Your house's .docx.")
@click.option("--out", type=click.Path(path_type=Path), help="The file to write (default: questions.FORMAT).")
def questions(*, as_toml: bool, kind: str | None, client: Path | None, template: Path | None, out: Path | None) -> None:
    """Print the whole list of questions as a handout (Markdown), or as an empty answers file.

    With --format or --out the handout is written to a file, to be filled in at a workshop.
    """
    if as_toml:
        from advisor.render.handout import answers_template

        click.echo(answers_template(), nl=False)
        return
    if kind or out:
        _write(_file(kind, out), client, template)
        return
    from advisor.render.handout import questions_report
    from harness.publish.markdown import to_markdown

    click.echo(to_markdown(questions_report()), nl=False)


def _file(kind: str | None, out: Path | None) -> Path:
    """The file to write, whose ending says the format."""
    if out is None:
        return Path(f"questions.{kind}")
    ending = out.suffix.lower().lstrip(".")
    if ending not in FORMATS or kind not in (None, ending):
        wanted = kind or ", ".join(FORMATS)
        raise click.UsageError(f"--out must name a file that ends with .{wanted}; got {out}")
    return out


def _write(file: Path, client: Path | None, template: Path | None) -> None:
    from advisor.api import keep_older
    from advisor.cli.documents import form_of
    from advisor.errors import UserError
    from advisor.render.handout import questions_report
    from harness.publish.write import write_documents

    kind = file.suffix.lower().lstrip(".")
    form = form_of(kind, client, (template,) if template else ())
    try:
        kept = keep_older(file)
    except OSError as error:
        raise UserError(f"{file} cannot be replaced ({error.strerror}); name another file with --out") from None
    (made,) = write_documents(
        questions_report(), file.parent, formats=(kind,), name=file.stem, brand=form.brand, templates=form.templates
    )
    click.echo(f"Wrote {made}" + (f"; the earlier one is kept as {kept}" if kept else ""))
