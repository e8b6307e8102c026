"""`advise prices`."""

from __future__ import annotations

import click


@click.command()
def prices() -> None:
    """Print the price table, to be edited and given back with `advise --prices FILE`."""
    from advisor.prices import default_prices_text

    click.echo(default_prices_text(), nl=False)
