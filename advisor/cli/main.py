"""The `advise` command: parses, calls one function, shows what it returned, exits.

Exit codes: 0 done, 1 our fault (with a traceback), 2 the user's input (with a sentence), 130 interrupted.
"""

from __future__ import annotations

import errno
import importlib
import io
import sys
from pathlib import Path
from typing import NoReturn

import click

from advisor.cli.documents import document_options, form_of
from advisor.errors import UserError
from harness.errors import MADE_OF_AN_INTERRUPT, end_unread, noted_interrupts
from harness.errors import UserError as SharedUserError
from harness.publish.text import visible

COMMANDS = {
    "explain": "advisor.cli.explain:explain",
    "report": "advisor.cli.report:report",
    "diff": "advisor.cli.diff:diff",
    "questions": "advisor.cli.questions:questions",
    "prices": "advisor.cli.prices:prices",
    "experience": "advisor.cli.experience:experience",
}
"""Commands by dotted name: only the one that is called is imported."""


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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))


SUMMARIES = {
    "explain": "An advice.json in words again.",
    "report": "Documents of an earlier advice.json: HTML, PDF, Word, slides, Markdown.",
    "diff": "What changed between two: answers, odds, reasons.",
    "questions": "The whole list of questions, for a workshop.",
    "prices": "The price table, to be edited and given back with --prices.",
    "experience": "Earlier verdicts of bake-offs: show or forget them.",
}


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--answers", "answers_file", type=click.Path(path_type=Path), help="Answers as TOML or JSON.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="One answer; may be given several times.")
@click.option("--data", type=click.Path(path_type=Path), help="A folder of data to measure answers from.")
@click.option("--session", type=click.Path(path_type=Path), help="Where answers are kept (advise-session.json).")
@click.option("--new", is_flag=True, help="Begin afresh; an earlier session is kept under another name.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for advice.json and the documents (default: DATA or .)."
)
@document_options
@click.option("--title", help="Name of the use case or client.")
@click.option("--prices", "prices_file", type=click.Path(path_type=Path), help="Your own price table (TOML).")
@click.option(
    "--error-cost",
    type=click.FloatRange(min=0, min_open=True),
    metavar="AMOUNT",
    help="What one wrong answer costs: the smallest gain that pays is worked out, to decide a bake-off by.",
)
@click.option("--all", "everything", is_flag=True, help="Ask every question that applies.")
@click.option("--no-input", is_flag=True, help="Ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print advice.json on standard output; asks nothing.")
@click.version_option(package_name="bakeoff-advisor", prog_name="advise")
@click.pass_context
def cli(
    context: click.Context,
    answers_file: Path | None,
    pairs: tuple[str, ...],
    data: Path | None,
    session: Path | None,
    new: bool,
    out: Path | None,
    formats: str | None,
    client: Path | None,
    templates: tuple[Path, ...],
    title: str | None,
    prices_file: Path | None,
    error_cost: float | None,
    everything: bool,
    no_input: bool,
    as_json: bool,
) -> None:
    """Prompt, retrieve (RAG), fine-tune, or combine? Asks about the use case and advises, with reasons and odds.

    Answers are taken from what is typed, then --answers, --set, an earlier session, and --data; the first that has one
    counts. Exit codes: 0 done, 1 our fault, 2 something in the input to mend, 130 interrupted.
    """
    if context.invoked_subcommand is not None:
        return
    from advisor.cli.advise import Options, run

    run(
        Options(
            answers_file=answers_file,
            pairs=pairs,
            data=data,
            session=session,
            new=new,
            out=out,
            title=title,
            prices_file=prices_file,
            everything=everything,
            ask=not (no_input or as_json),
            as_json=as_json,
            error_cost=error_cost,
            form=form_of(formats, client, templates),
        )
    )


def _stopped() -> NoReturn:
    click.echo("\nStopped. Answers given so far are kept; the same command goes on from there.", err=True)
    sys.exit(130)


def _print_anything() -> None:
    """A terminal without a letter shows a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def main() -> None:
    """Entry point: errors that the user can mend become sentences and exit code 2."""
    _print_anything()
    interrupts, stdout = noted_interrupts(), sys.stdout
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt, EOFError):
        _stopped()
    except SystemExit:
        end_unread(stdout)
        raise
    except (UserError, SharedUserError) as error:
        click.echo(f"advise: {visible(str(error))}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        click.echo(f"advise: the output could not be written ({error.strerror}); advice.json is safe", err=True)
        sys.exit(2)
    except MADE_OF_AN_INTERRUPT:
        if not interrupts:
            raise
        _stopped()
    sys.exit(code if isinstance(code, int) else 0)
