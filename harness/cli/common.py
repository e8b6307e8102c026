"""What several commands share: options, the console, lists of problems."""

from __future__ import annotations

import contextlib
import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import click
from rich.console import Console
from rich.text import Text

from harness.errors import InputProblems, leave_unread
from harness.publish.console import SafeConsole
from harness.publish.text import one_line
from harness.remote.url import RemoteUrl, remote_url
from harness.scenario import EXPERIMENTS, Problem
from harness.scenario_file.endpoint import EndpointSettings
from harness.scenario_file.read import Overrides

F = TypeVar("F", bound=Callable[..., Any])

MOST_PROBLEMS = 60
"""Problems of one level that are printed; the rest is counted."""


def say(text: str, *, nl: bool = True) -> None:
    """Print on the way; where nobody reads any more the command goes on, and keeps its exit code."""
    try:
        click.echo(text, nl=nl)
    except BrokenPipeError:
        leave_unread(sys.stdout)


class Inputs(click.ParamType[Path]):
    """A path; whether it serves is said by what reads it, in a sentence of its own."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Text to path."""
        return Path(value)


INPUT = Inputs()


class Places(click.ParamType["Path | RemoteUrl"]):
    """A folder on this machine, or the address of one on other storage."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | RemoteUrl:
        """Text to either."""
        return (remote_url(value) if isinstance(value, str) else None) or Path(value)


PLACE = Places()


@contextlib.contextmanager
def at_hand(
    places: Sequence[Path | RemoteUrl], *, writing: bool, new: bool = False, out: Console | None = None
) -> Iterator[list[Path]]:
    """Folders on this machine for all of them: those of other storage are brought here, and sent back if written.

    `new`: there may be nothing yet.
    """
    from harness import api

    shown = out or console(stderr=True)

    def say(text: str) -> None:
        shown.print(Text(one_line(text)), soft_wrap=True)

    with contextlib.ExitStack() as held:
        copies = {
            one: held.enter_context(api.working_copy(one, say=say, writing=writing, new=new))
            for one in dict.fromkeys(places)
            if isinstance(one, RemoteUrl)
        }
        yield [copies[one] if isinstance(one, RemoteUrl) else one for one in places]


def scenario_options(command: F) -> F:
    """Options that say more about the scenario than its files do."""
    for option in reversed(
        [
            click.option("--arms", help="Only these arms, comma separated (the control always takes part)."),
            click.option("--eval-limit", type=click.IntRange(min=1), help="At most so many eval cases."),
            click.option("--train-limit", type=click.IntRange(min=0), help="At most so many training rows."),
            click.option("--seed", type=int, help="Seed of every draw (default 0)."),
            click.option("--model", help="Language model: local folder, GGUF file or Hugging Face id."),
            click.option("--embedder", help="Embedding model: local folder or Hugging Face id."),
            click.option("--instruction", help="What the model is asked to do; every arm gets the same."),
        ]
    ):
        command = option(command)
    return command


def experiment_options(command: F) -> F:
    """Options that switch experiments on."""
    for option in reversed(
        [
            click.option(
                "--experiments",
                metavar="NAMES",
                help=f"Experiments to run as well, comma separated, or 'all': {', '.join(EXPERIMENTS)}.",
            ),
            click.option(
                "--seeds",
                type=click.IntRange(min=1),
                help="Training seeds of every tuned arm (default 3; 1 with --quick).",
            ),
            click.option("--stop-early", is_flag=True, help="Stop arms that can no longer win, and say what it saved."),
        ]
    ):
        command = option(command)
    return command


def endpoint_options(command: F) -> F:
    """Options of a model behind an OpenAI-compatible server."""
    for option in reversed(
        [
            click.option(
                "--endpoint", metavar="URL", help="Ask a server (up to /v1) instead; --model is its name there."
            ),
            click.option("--key-variable", metavar="V", help="Environment variable with its key ('' = it needs none)."),
            click.option("--concurrency", type=click.IntRange(min=1), help="Requests under way there at once (8)."),
            click.option("--price", metavar="IN/OUT", help="Its price of a million tokens read/written: 0.15/0.60."),
            click.option("--max-cost", type=float, metavar="AMOUNT", help="Spend no more than this there."),
            click.option(
                "--batch",
                is_flag=True,
                help="Send eval cases in batches: within a day, at the price that batch_discount names.",
            ),
        ]
    ):
        command = option(command)
    return command


class ExperimentOptions(TypedDict):
    """What `experiment_options` hands to a command."""

    experiments: str | None
    seeds: int | None
    stop_early: bool


class RunningOptions(TypedDict):
    """Both kinds of options."""

    arms: str | None
    eval_limit: int | None
    train_limit: int | None
    seed: int | None
    model: str | None
    embedder: str | None
    instruction: str | None
    experiments: str | None
    seeds: int | None
    stop_early: bool
    endpoint: str | None
    key_variable: str | None
    concurrency: int | None
    price: str | None
    max_cost: float | None
    batch: bool


class ScenarioOptions(TypedDict):
    """What `scenario_options` hands to a command."""

    arms: str | None
    eval_limit: int | None
    train_limit: int | None
    seed: int | None
    model: str | None
    embedder: str | None
    instruction: str | None


def running_overrides(options: RunningOptions) -> Overrides:
    """What the options say, experiments included."""
    said = options["experiments"] or ""
    names = tuple(name.strip() for name in said.split(",") if name.strip())
    plain = ScenarioOptions(**{key: options[key] for key in ScenarioOptions.__annotations__})  # type: ignore[literal-required, typeddict-item]
    return replace(
        overrides_from(plain),
        experiments=_ALL if names == ("all",) else names,
        seeds=options["seeds"],
        stop_early=options["stop_early"],
        endpoint=_endpoint(options),
    )


def _endpoint(options: RunningOptions) -> EndpointSettings:
    price = options["price"]
    match = re.fullmatch(r"([0-9.]+)/([0-9.]+)", price.strip()) if price is not None else None
    try:
        read, written = (float(part) for part in match.groups()) if match else (None, None)
    except ValueError:
        match = None
    if price is not None and match is None:
        raise click.BadParameter(
            f"expected two amounts for a million tokens, as in 0.15/0.60; got {price!r}", param_hint="--price"
        )
    most = options["max_cost"]
    if most is not None and not 0 < most < math.inf:
        raise click.BadParameter(f"expected an amount above 0; got {most:g}", param_hint="--max-cost")
    return EndpointSettings(
        url=options["endpoint"],
        key_variable=options["key_variable"],
        concurrency=options["concurrency"],
        price_in=read,
        price_out=written,
        max_cost=most,
        batch=options["batch"] or None,
    )


_ALL = tuple(name for name in EXPERIMENTS if name != "judge")
"""What 'all' means; a judge is asked for by name, because only its user knows which model should judge."""


def overrides_from(options: ScenarioOptions) -> Overrides:
    """What the options say."""
    arms = options["arms"]
    return Overrides(
        instruction=options["instruction"],
        model=options["model"],
        embedder=options["embedder"],
        arms=tuple(name.strip() for name in arms.split(",") if name.strip()) if arms is not None else None,
        seed=options["seed"],
        eval_limit=options["eval_limit"],
        train_limit=options["train_limit"],
    )


def console(*, stderr: bool = False) -> Console:
    """The terminal; at least 80 columns, so that tables don't break when the output goes to a file."""
    made = SafeConsole(stderr=stderr, highlight=False, soft_wrap=False)
    return made if made.is_terminal else SafeConsole(stderr=stderr, highlight=False, width=max(100, made.width))


def show_problems(out: Console, problems: Sequence[Problem]) -> None:
    """Errors first, then warnings, each with its place; long lists are cut and counted."""
    for level, style in (("error", "bold red"), ("warning", "yellow")):
        found = [problem for problem in problems if problem.level == level]
        for problem in found[:MOST_PROBLEMS]:
            out.print(Text.assemble((f"{level}: ", style), str(problem)), soft_wrap=True)
        if len(found) > MOST_PROBLEMS:
            out.print(f"... and {len(found) - MOST_PROBLEMS:,} more {level}s.")


def refuse(problems: InputProblems) -> None:
    """Show every problem and exit with 2."""
    errors = sum(problem.level == "error" for problem in problems.problems)
    out = console(stderr=True)
    show_problems(out, problems.problems)
    out.print(f"{errors} error{'s' if errors != 1 else ''}; nothing was done. Put that right and try again.")
    raise click.exceptions.Exit(2)
