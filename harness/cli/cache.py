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

    Whatever is removed is made again by the next run that needs it, or lies on other storage; but run folders that were
    set aside lie nowhere else. Working copies that were not uploaded stay. Run folders elsewhere and the list of
    finished runs are no part of the cache.
    """
    from harness.disk import cache_folder
    from harness.engines.cached import overview, remove
    from harness.publish import numbers
    from harness.remote.kept import FOLDERS

    if everything and older_than is not None:
        raise click.UsageError("--all and --older-than exclude each other; name one of them.")
    out = console()
    before = math.inf if everything else None if older_than is None else time.time() - older_than
    found = overview(before=before, folders=FOLDERS)
    shelves = found if before is None else tuple(one for one in found if not one.stays)
    out.print(f"{cache_folder()}", markup=False, soft_wrap=True)
    if shelves:
        out.print(_table(shelves))
    else:
        out.print("Nothing is kept there." if before is None else "Nothing there is to be removed.", markup=False)
    for sentence in _warnings(found):
        out.print(sentence, markup=False)
    if not shelves:
        return
    if before is None:
        out.print("To remove what is no longer used: bakeoff cache --older-than 30d", markup=False)
        return
    if not yes and not click.confirm(f"Remove these {numbers.storage(sum(one.size for one in shelves))}?"):
        out.print("Nothing was removed.")
        return
    gone = remove(before=before, folders=FOLDERS)
    held = f"; {numbers.counted(gone.held, 'thing')} in use stayed" if gone.held else ""
    freed = f"{numbers.storage(gone.size)} freed"
    out.print(f"{numbers.counted(gone.count, 'thing')} removed, {freed}{held}.", markup=False)


def _warnings(shelves: Sequence[Shelf]) -> list[str]:
    """What to know of run folders before anything is removed."""
    from harness.publish import numbers
    from harness.remote.kept import SET_ASIDE

    said = []
    kept = sum(one.count for one in shelves if one.stays)
    if kept:
        copies = "1 working copy of a run folder is" if kept == 1 else f"{numbers.count(kept)} working copies are"
        said.append(
            f"{copies} kept, for not everything there was uploaded. The command that made it, given again, uploads it."
        )
    aside = sum(one.count for one in shelves if one.kind == SET_ASIDE)
    if aside:
        folders = "1 run folder that was" if aside == 1 else f"{numbers.count(aside)} run folders that were"
        said.append(f"Nothing makes again {folders} set aside, in remote/set-aside.")
    return said


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
