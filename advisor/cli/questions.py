"""`advise questions`."""

from __future__ import annotations

import click


@click.command()
@click.option("--toml", "as_toml", is_flag=True, help="An answers file to fill in instead of a handout.")
def questions(as_toml: bool) -> None:
    """Print the whole list of questions as a handout (Markdown), or as an empty answers file."""
    if as_toml:
        from advisor.render.handout import answers_template

        click.echo(answers_template(), nl=False)
        return
    from advisor.render.markdown import questions_markdown

    click.echo(questions_markdown(), nl=False)
