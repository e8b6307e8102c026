"""`bakeoff cache`."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.table import Table
from rich.text import Text

from harness.cli.common import console

if TYPE_CHECKING:
    from harness.engines.cached import Shelf

UNITS = {"h": 3_600, "d": 86_400, "w": 7 * 86_400}


class Age(click.ParamType[float]):
    """A time span such as `30d`, in seconds."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Text to seconds."""
        match = re.fullmatch(r"([0-9]{1,6})([hdw])", str(value).strip())
        if match is None:
            self.fail(f"expected a number of hours, days or weeks, as in 12h, 30d or 8w; got {value!r}", param, ctx)
        return float(match[1]) * UNITS[match[2]]


@click.command()
@click.option("--older-than", type=Age(), metavar="AGE", help="Remove what was not used for so long: 12h, 30d, 8w.")
@click.option("--all", "everything", is_flag=True, help="Remove all that no running process uses.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
def cache(older_than: float | None, everything: bool, yes: bool) -> None:
    """Show what is kept between runs, and remove what is no longer used.

    Whatever is removed is made again by the next run that needs it. Run folders and the list of finished runs are no
    part of the cache.
    """
    from harness.disk import cache_folder
    from harness.engines.cached import overview, remove
    from harness.publish import numbers

    if everything and older_than is not None:
        raise click.UsageError("--all and --older-than exclude each other; name one of them.")
    out = console()
    before = math.inf if everything else None if older_than is None else time.time() - older_than
    shelves = overview(before=before)
    out.print(f"{cache_folder()}", markup=False, soft_wrap=True)
    if not shelves:
        out.print("Nothing is kept there." if before is None else "Nothing there is to be removed.", markup=False)
        return
    out.print(_table(shelves))
    if before is None:
        out.print("To remove what is no longer used: bakeoff cache --older-than 30d", markup=False)
        return
    if not yes and not click.confirm(f"Remove these {numbers.storage(sum(one.size for one in shelves))}?"):
        out.print("Nothing was removed.")
        return
    gone = remove(before=before)
    held = f"; {numbers.counted(gone.held, 'thing')} in use stayed" if gone.held else ""
    freed = f"{numbers.storage(gone.size)} freed"
    out.print(f"{numbers.counted(gone.count, 'thing')} removed, {freed}{held}.", markup=False)


def _table(shelves: Sequence[Shelf]) -> Table:
    from harness.publish import numbers

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=len(shelves) > 1)
    table.add_column("kind", "together")
    table.add_column("things", numbers.count(sum(one.count for one in shelves)), justify="right")
    table.add_column("size", numbers.storage(sum(one.size for one in shelves)), justify="right")
    table.add_column("last used")
    for one in sorted(shelves, key=lambda shelf: -shelf.size):
        day = datetime.fromtimestamp(one.used).astimezone()
        table.add_row(Text(one.kind), numbers.count(one.count), numbers.storage(one.size), f"{day:%Y-%m-%d %H:%M}")
    return table
