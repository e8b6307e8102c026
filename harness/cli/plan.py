"""`bakeoff plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from harness.cli.common import (
    INPUT,
    RunningOptions,
    console,
    endpoint_options,
    experiment_options,
    refuse,
    running_overrides,
    scenario_options,
)
from harness.errors import InputProblems


@click.command()
@click.argument("folder", metavar="DIR", type=INPUT)
@click.option("--quick", is_flag=True, help="Plan a quick run.")
@scenario_options
@experiment_options
@endpoint_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def plan(folder: Path, quick: bool, as_json: bool, **scenario: Unpack[RunningOptions]) -> None:
    """Show what a run on DIR would do, what it could show and what it would take. No language model is loaded."""
    from harness import api
    from harness.cli.progress import PlainWatcher
    from harness.cli.show import show_inferred, show_plan

    options = api.RunOptions(
        quick=quick,
        overrides=running_overrides(scenario),
    )
    try:
        made = api.plan(folder, options=options, watcher=PlainWatcher(console(stderr=True)))
    except InputProblems as problems:
        refuse(problems)
        return
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(made), indent=1).decode())
        return
    out = console()
    show_inferred(out, made)
    show_plan(out, made)
