"""`bakeoff run`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from harness.cli.common import (
    INPUT,
    RunningOptions,
    console,
    experiment_options,
    refuse,
    running_overrides,
    scenario_options,
)
from harness.errors import InputProblems
from harness.scenario import ErrorBudget

UNDECIDED = ("not_enough_cases", "could_not_compare")


@click.command()
@click.argument("folder", metavar="DIR", type=INPUT)
@click.option("--out", type=INPUT, help="The run's folder (default: a new one under runs/). The same command goes on.")
@click.option("--quick", is_flag=True, help="Fewer settings tried and less tuning: a first, rough answer.")
@scenario_options
@experiment_options
@click.option("--explore", is_flag=True, help="Go on though the rule or a case was changed after the first answers.")
@click.option("--retry-errors", is_flag=True, help="Make only what failed in a run again: --out names its folder.")
@click.option(
    "--max-errors", metavar="N|P%", help="Errors after which an arm is stopped (10 that are more than half its cases)."
)
@click.option("--no-cache", is_flag=True, help="Do not reuse answers of earlier runs.")
@click.option("--no-remember", is_flag=True, help="Do not keep the verdict for later advice (BAKEOFF_REMEMBER=0).")
@click.option("--json", "as_json", is_flag=True, help="Print verdict.json on standard output, progress on the other.")
@click.option("--strict", is_flag=True, help="Exit with 3 where the verdict is undecided.")
def run(
    folder: Path,
    out: Path | None,
    quick: bool,
    explore: bool,
    retry_errors: bool,
    max_errors: str | None,
    no_cache: bool,
    no_remember: bool,
    as_json: bool,
    strict: bool,
    **scenario: Unpack[RunningOptions],
) -> None:
    """Run the bake-off on DIR (a folder with eval.jsonl, or a scenario.toml) and draw the verdict.

    Stopped half way? The same command goes on where it was.
    """
    from harness import api
    from harness.cli.progress import watcher_for
    from harness.cli.show import show_inferred, show_plan, show_result
    from harness.provenance import command_line

    options = api.RunOptions(
        out=out,
        quick=quick,
        overrides=running_overrides(scenario),
        use_cache=not no_cache,
        remember=not no_remember,
        explore=explore,
        retry_errors=retry_errors,
        max_errors=_budget(max_errors),
        command=command_line(),
    )
    screen = console(stderr=as_json)
    try:
        with watcher_for(screen) as watcher:
            ready = api.prepare(folder, options=options, watcher=watcher)
        show_inferred(screen, ready.plan)
        show_plan(screen, ready.plan)
        with watcher_for(screen) as watcher:
            finished = api.run_prepared(ready, options=options, watcher=watcher)
    except InputProblems as problems:
        refuse(problems)
        return
    files = api.report(finished.folder.path)
    show_result(screen, api.report_data(finished.folder.path), files)
    if as_json:
        click.echo((finished.folder.path / "verdict.json").read_text(encoding="utf-8"), nl=False)
    if strict and finished.verdict.kind in UNDECIDED:
        raise click.exceptions.Exit(3)


def _budget(said: str | None) -> ErrorBudget | None:
    """What `--max-errors` says."""
    from harness.scenario_file.budget import EXPECTED, error_budget

    found = None if said is None else error_budget(said)
    if said is not None and found is None:
        raise click.BadParameter(f"{EXPECTED}; got {said!r}", param_hint="--max-errors")
    return found
