"""`advise explain`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("advice", type=click.Path(path_type=Path))
@click.option("--markdown", is_flag=True, help="The whole text as Markdown instead of a screenful.")
def explain(advice: Path, markdown: bool) -> None:
    """Say in words what an ADVICE.json holds."""

    from advisor.api import read_json

    found = read_json(advice)
    if markdown:
        from advisor.render.document import advice_report
        from harness.publish.markdown import to_markdown

        click.echo(to_markdown(advice_report(found)), nl=False)
        return
    from advisor.render.terminal import show_advice
    from harness.publish.console import SafeConsole

    show_advice(SafeConsole(highlight=False), found)
