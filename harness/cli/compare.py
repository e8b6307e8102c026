"""`bakeoff compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cli.common import INPUT, console
from harness.publish import numbers
from harness.records import Comparison
from harness.report.names import arm_name, metric_title


@click.command()
@click.argument("run_folder", metavar="RUN", type=INPUT)
@click.option("--metric", help="Another metric than the decision rule's (a look, not the verdict).")
@click.option("--json", "as_json", is_flag=True, help="Print the comparisons as JSON.")
def compare(run_folder: Path, metric: str | None, as_json: bool) -> None:
    """Compare all pairs of arms of a finished run. Loads no model."""
    from harness import api

    found = api.compare(run_folder, metric=metric)
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=1).decode())
        return
    show_comparisons(console(), found)


def show_comparisons(out: Console, found: Sequence[Comparison]) -> None:
    """One row a pair."""
    if not found:
        out.print("There is no pair of arms to compare.")
        return
    metric = found[0].metric
    table = Table(box=box.SIMPLE_HEAD, title=Text(f"{metric_title(metric)}, {found[0].n} cases"), title_justify="left")
    for name in ("Pair", "Difference (interval)", "p (Holm)", "Only first right", "Only second right"):
        table.add_column(name, justify="left" if name == "Pair" else "right")
    for pair in found:
        table.add_row(
            Text(f"{arm_name(pair.first)} - {arm_name(pair.second)}"),
            numbers.difference_interval(pair.difference, pair.low, pair.high),
            numbers.p_number(pair.p_adjusted),
            "" if pair.first_only is None else str(pair.first_only),
            "" if pair.second_only is None else str(pair.second_only),
        )
    out.print(table)
    out.print(f"Test: {found[0].method}; p adjusted by Holm over all {len(found)} pairs.", markup=False)
