"""`advise experience`."""

from __future__ import annotations

import click


@click.command()
@click.option("--forget", "name", metavar="NAME", help="Delete the remembered verdicts of this scenario.")
@click.option("--forget-all", is_flag=True, help="Delete all remembered verdicts.")
def experience(name: str | None, forget_all: bool) -> None:
    """Show the verdicts of earlier bake-offs that shift the odds, or delete them.

    `bakeoff run --no-remember` leaves none.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from advisor.errors import UserError
    from advisor.experience import past_verdicts, verdicts_folder
    from harness.publish.console import SafeConsole

    out = SafeConsole(highlight=False)
    past = past_verdicts()
    if name is not None or forget_all:
        gone = [one for one in past if forget_all or one.name == name]
        if not gone and name is not None:
            raise UserError(f'no verdict of "{name}" is remembered; `advise experience` lists the names')
        for one in gone:
            one.file.unlink(missing_ok=True)
        if forget_all:  # damaged files too
            for file in verdicts_folder().glob("*.json"):
                file.unlink(missing_ok=True)
        out.print(f"Forgot {len(gone)} of {len(past)} verdicts.")
        return
    if not past:
        out.print(f"No verdict is remembered yet in {verdicts_folder()}.", markup=False, soft_wrap=True)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("Date", "Scenario", "Verdict", "Recommended", "Advised", "Advice was"):
        table.add_column(title, overflow="fold")
    for one in past:
        cells = (one.remembered[:10], one.name, one.verdict, one.approach, one.advised, one.relation)
        table.add_row(*(Text(str(cell).replace("_", " ") if cell else "-") for cell in cells))
    out.print(table)
    out.print(
        f"Kept in {verdicts_folder()}; --forget NAME deletes some, --forget-all all.", markup=False, soft_wrap=True
    )
