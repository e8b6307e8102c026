"""`bakeoff compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cli.common import PLACE, at_hand, console
from harness.errors import UserError
from harness.publish import numbers
from harness.publish.text import one_line
from harness.records import Comparison
from harness.report.names import arm_name, metric_title
from harness.report.terminal import show_table

if TYPE_CHECKING:
    from harness.remote.url import RemoteUrl
    from harness.report.data import ReportData


@click.command()
@click.argument("run_folders", metavar="RUN...", type=PLACE, nargs=-1, required=True)
@click.option("--metric", help="Another metric than the decision rule's (a look, not the verdict). For one RUN.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparisons as JSON.")
def compare(run_folders: tuple[Path | RemoteUrl, ...], metric: str | None, as_json: bool) -> None:
    """Compare all pairs of arms of a finished run, or several runs with each other. Loads no model.

    With several RUNs: what differs between them and the first, and every arm's score in each.
    """
    from harness import api

    if len(run_folders) > 1 and metric is not None:
        raise UserError("--metric is for one run; several runs are each shown by their own metric")
    with at_hand(run_folders, writing=False) as folders:
        if len(folders) > 1:
            _several(tuple(api.report_data(folder) for folder in folders), as_json=as_json)
            return
        found = api.compare(folders[0], metric=metric)
    if as_json:
        _echo_json(found)
        return
    show_comparisons(console(), found)


def _several(runs: tuple[ReportData, ...], *, as_json: bool) -> None:
    from harness.report.sections.runs import CAUTION, changes, overview_table, scores_table

    if as_json:
        _echo_json({"changes": changes(runs), "verdicts": [data.verdict for data in runs]})
        return
    out = console()
    for sentence in changes(runs):
        out.print(Text(one_line(sentence)))
    for table in (overview_table(runs), scores_table(runs)):
        show_table(out, table)
    out.print(Text(CAUTION, style="dim"))


def _echo_json(found: object) -> None:
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(found), indent=1).decode())


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
