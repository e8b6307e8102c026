"""`bakeoff run`."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click
from rich.console import Console
from rich.text import Text

from harness.cli.common import (
    INPUT,
    PLACE,
    RunningOptions,
    at_hand,
    console,
    endpoint_options,
    experiment_options,
    refuse,
    running_overrides,
    say,
    scenario_options,
    show_problems,
)
from harness.errors import InputProblems, UserError
from harness.publish.text import visible
from harness.remote.url import RemoteUrl
from harness.scenario import ErrorBudget

if TYPE_CHECKING:
    from harness.api import Finished, RunOptions

UNDECIDED = ("not_enough_cases", "could_not_compare")


@click.command()
@click.argument("folders", metavar="DIR [DIR ...]", type=INPUT, nargs=-1, required=True)
@click.option(
    "--out",
    type=PLACE,
    help="The run's folder or URL (s3://bucket/run), or the one for all of them (default: new ones under runs/). The "
    "same command goes on.",
)
@click.option("--quick", is_flag=True, help="Fewer settings tried and less tuning: a first, rough answer.")
@scenario_options
@experiment_options
@endpoint_options
@click.option("--explore", is_flag=True, help="Go on though the rule or a case was changed after the first answers.")
@click.option("--retry-errors", is_flag=True, help="Make only what failed in a run again: --out names its folder.")
@click.option(
    "--max-errors", metavar="N|P%", help="Errors after which an arm is stopped (10 that are more than half its cases)."
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    help="Where arms are prepared and answered: in this process, or on a Ray cluster.",
)
@click.option("--address", metavar="HOST:PORT", help="The Ray cluster (default: RAY_ADDRESS, else this machine).")
@click.option("--no-cache", is_flag=True, help="Do not reuse answers of earlier runs.")
@click.option("--no-remember", is_flag=True, help="Do not keep the verdict for later advice (BAKEOFF_REMEMBER=0).")
@click.option("--json", "as_json", is_flag=True, help="Print verdict.json on standard output, progress on the other.")
@click.option("--strict", is_flag=True, help="Exit with 3 where the verdict is undecided.")
def run(
    folders: tuple[Path, ...],
    out: Path | RemoteUrl | None,
    quick: bool,
    explore: bool,
    retry_errors: bool,
    max_errors: str | None,
    engine: str,
    address: str | None,
    no_cache: bool,
    no_remember: bool,
    as_json: bool,
    strict: bool,
    **scenario: Unpack[RunningOptions],
) -> None:
    """Run the bake-off on DIR (a folder with eval.jsonl, or a scenario.toml) and draw the verdict.

    Several are run one after the other (--engine ray: at once), each with a verdict of its own; one that fails does not
    stop the others. Stopped half way? The same command goes on where it was.
    """
    from harness import api
    from harness.provenance import command_line

    if address and engine != "ray":
        raise click.BadParameter("it names a Ray cluster, so it needs --engine ray", param_hint="--address")
    options = api.RunOptions(
        out=_folder_here(out, alone=len(folders) == 1),
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
    with at_hand(_places_there(out, folders), writing=True, new=True, out=screen):
        code = _made(folders, options, screen, how=How(engine, address, as_json=as_json, strict=strict))
    if isinstance(out, RemoteUrl):
        screen.print(Text(f"Uploaded to {out}"), soft_wrap=True)
    if code:
        raise click.exceptions.Exit(code)


@dataclass(frozen=True, slots=True)
class How:
    """Where arms are answered, and how the end is told."""

    engine: str
    address: str | None
    as_json: bool
    strict: bool


def _made(folders: Sequence[Path], options: RunOptions, screen: Console, *, how: How) -> int:
    """Make all runs and show them; the exit code."""
    from harness import api
    from harness.cli.progress import watcher_for
    from harness.cli.show import show_inferred, show_plan

    alone = len(folders) == 1
    with watcher_for(screen) as watcher:
        made = api.prepare_many(folders, options=options, watcher=watcher)
    pairs = list(zip(folders, made, strict=True))
    codes = [_told(folder, one, alone=alone) for folder, one in pairs if isinstance(one, Exception)]
    ready = [(folder, one) for folder, one in pairs if not isinstance(one, Exception)]
    for _, asked in ready:
        show_inferred(screen, asked.ready.plan)
        show_plan(screen, asked.ready.plan)
    with watcher_for(screen) as watcher:
        ended = api.run_many([asked for _, asked in ready], engine=how.engine, address=how.address, watcher=watcher)
    for (folder, _), finished in zip(ready, ended, strict=True):
        if isinstance(finished, Exception):
            codes.append(_told(folder, finished, alone=alone))
        else:
            codes.append(_shown(finished, screen, as_json=how.as_json, strict=how.strict))
    return _worst(codes)


def _folder_here(out: Path | RemoteUrl | None, *, alone: bool) -> Path | None:
    """The run's folder on this machine, or the one for all of them."""
    if not isinstance(out, RemoteUrl):
        return out
    return out.folder() if alone else out.child("run").home()


def _places_there(out: Path | RemoteUrl | None, folders: Sequence[Path]) -> list[Path | RemoteUrl]:
    """Each run's own place on other storage.

    Raises:
        UserError: two would be the same.
    """
    from harness import api

    if not isinstance(out, RemoteUrl) or len(folders) == 1:
        return [out] if isinstance(out, RemoteUrl) else []
    each = [out.child(api.name_among_several(folder)) for folder in folders]
    twice = [one for one in each if each.count(one) > 1]
    if twice:
        raise UserError(f"Two runs would go into {twice[0]}. Leave --out out, or give the folders different names.")
    return [*each]


def _told(folder: Path, error: Exception, *, alone: bool) -> int:
    """Say why a run failed, as the command does where there is no other run; its exit code."""
    if alone and not isinstance(error, InputProblems):
        raise error
    if isinstance(error, InputProblems):
        if alone:
            refuse(error)
        show_problems(console(stderr=True), error.problems)
        click.echo(f"bakeoff: {folder}: its files have errors; it was not run.", err=True)
    elif isinstance(error, UserError):
        click.echo(f"bakeoff: {folder}: {visible(str(error))}", err=True)
    else:
        traceback.print_exception(error)
        return 1
    return 2


def _shown(finished: Finished, screen: Console, *, as_json: bool, strict: bool) -> int:
    """Write the reports and show the result; the run's exit code."""
    from harness import api
    from harness.cli.show import show_result

    files = api.report(finished.folder.path)
    show_result(screen, api.report_data(finished.folder.path), files)
    if as_json:
        say((finished.folder.path / "verdict.json").read_text(encoding="utf-8"), nl=False)
    return 3 if strict and finished.verdict.kind in UNDECIDED else 0


def _worst(codes: Sequence[int]) -> int:
    """Ours before the user's, the user's before an undecided verdict."""
    return next((code for code in (1, 2, 3) if code in codes), 0)


def _budget(said: str | None) -> ErrorBudget | None:
    """What `--max-errors` says."""
    from harness.scenario_file.budget import EXPECTED, error_budget

    found = None if said is None else error_budget(said)
    if said is not None and found is None:
        raise click.BadParameter(f"{EXPECTED}; got {said!r}", param_hint="--max-errors")
    return found
