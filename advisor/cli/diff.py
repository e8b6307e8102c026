"""`advise diff`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
def diff(first: Path, second: Path) -> None:
    """Say what changed from one advice.json to another: two dates of one client, or two clients."""
    from rich.text import Text

    from advisor.api import read_json
    from advisor.render.difference import difference_lines
    from harness.publish.console import SafeConsole

    out = SafeConsole(highlight=False)
    for line in difference_lines(read_json(first), read_json(second)):
        out.print(Text(line))
