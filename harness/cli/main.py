"""The `bakeoff` command: parses, calls one function, shows what it returned, exits.

Exit codes: 0 done, 1 our fault (with a traceback), 2 the user's input (with a sentence), 3 finished without a decidable
verdict (only with --strict), 130 interrupted.
"""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

import click

COMMANDS = {
    "init": "harness.cli.init:init",
    "check": "harness.cli.check:check",
    "plan": "harness.cli.plan:plan",
    "run": "harness.cli.run:run",
    "score": "harness.cli.score:score",
    "compare": "harness.cli.compare:compare",
    "report": "harness.cli.report:report",
    "export": "harness.cli.export:export",
    "history": "harness.cli.history:history",
    "cache": "harness.cli.cache:cache",
    "doctor": "harness.cli.doctor:doctor",
}
"""Commands by dotted name: only the one that is called is imported."""

FIRST_STEPS = """\
bakeoff: which approach is best on your own eval set - prompt, few-shot, RAG, LoRA, or RAG + LoRA?

Where to begin:
  bakeoff doctor                see what this machine has and what it will use
  bakeoff init TABLE.csv --input QUESTION --output ANSWER --into my-data
                                make a folder from your own table (CSV, TSV, XLSX, Parquet, JSON)
  bakeoff check my-data         find every problem in the files
  bakeoff plan my-data          see what a run could show and how long it would take
  bakeoff run my-data --quick   a first, rough answer; without --quick, the real one

`bakeoff --help` lists all commands, `bakeoff COMMAND --help` their options."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order in which they are used."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bakeoff-advisor", prog_name="bakeoff")
@click.pass_context
def cli(context: click.Context) -> None:
    """Run prompt, few-shot, RAG, LoRA and RAG + LoRA on your own eval set and get an honest verdict.

    Exit codes: 0 done, 1 our fault, 2 something in the input to mend, 3 no decidable verdict (with --strict),
    130 interrupted.
    """
    if context.invoked_subcommand is None:
        click.echo(FIRST_STEPS)


def _stopped() -> NoReturn:
    kept = " What was answered is kept; the same command goes on from there." if "run" in sys.argv[1:2] else ""
    click.echo(f"\nStopped.{kept}", err=True)
    sys.exit(130)


def _of_the_system(error: OSError) -> str:
    """What the user can do about it; empty where nobody knows."""
    from harness.errors import shortage
    from harness.publish.text import visible

    if error.filename is not None:
        return f"{visible(str(error.filename))}: {error.strerror}. Check the path and its permissions."
    if shortage(error) == "disk":
        where = "the one that the output, the temporary files or the cache go to"
        return f"a disk is full ({error.strerror}): {where}. Make room; what was done is kept."
    return ""


def main() -> None:
    """Entry point: errors that the user can mend become sentences and exit code 2."""
    from harness.errors import MADE_OF_AN_INTERRUPT, UserError, end_unread, noted_interrupts, shortage
    from harness.publish.text import visible

    interrupts, stdout = noted_interrupts(), sys.stdout
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        _stopped()
    except UserError as error:
        click.echo(f"bakeoff: {visible(str(error))}", err=True)
        sys.exit(2)
    except MADE_OF_AN_INTERRUPT as error:
        if interrupts:
            _stopped()
        if shortage(error) != "memory":
            raise
        click.echo(
            "bakeoff: not enough memory. Close other programs or take fewer cases; what was done is kept.", err=True
        )
        sys.exit(2)
    except SystemExit:
        end_unread(stdout)
        raise
    except OSError as error:
        said = _of_the_system(error)
        if not said:
            raise
        click.echo(f"bakeoff: {said}", err=True)
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)
