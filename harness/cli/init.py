"""`bakeoff init`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.common import INPUT, console, refuse, show_problems
from harness.errors import InputProblems


@click.command()
@click.argument("source", metavar="TABLE_OR_DIR", type=INPUT)
@click.option("--into", type=INPUT, help="Folder to make (default: the table's name without its ending).")
@click.option("--input", "input_column", default="input", show_default=True, help="Column with the inputs.")
@click.option("--output", "output_column", default="output", show_default=True, help="Column with the right answers.")
@click.option("--id", "id_column", help="Column with ids.")
@click.option("--references", "references_column", help="Column with further right answers (a JSON list).")
@click.option("--context-id", "context_column", help="Column naming the document that holds the answer.")
@click.option("--group", "group_column", help="Column of what belongs together (document, customer, template).")
@click.option("--eval-size", type=click.IntRange(min=1), help="Rows to hold out for the eval set.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the split.")
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
def init(
    source: Path,
    into: Path | None,
    input_column: str,
    output_column: str,
    id_column: str | None,
    references_column: str | None,
    context_column: str | None,
    group_column: str | None,
    eval_size: int | None,
    seed: int,
    force: bool,
) -> None:
    """Make a scenario folder from a table or a dataset, or write the scenario.toml of a DIR with an eval.jsonl.

    A table: CSV, TSV, XLSX, Parquet, Arrow, JSON or JSONL. A Hugging Face dataset: a folder that save_to_disk wrote,
    or hf://OWNER/NAME, which is fetched.

    One table is split into train and eval; scenario.toml holds every setting that was inferred, to be edited.
    """
    from harness import api

    columns = api.ColumnMap(
        input=input_column,
        output=output_column,
        id=id_column,
        references=references_column,
        context_id=context_column,
        group=group_column,
    )
    try:
        made = api.init_source(source, into=into, columns=columns, eval_size=eval_size, seed=seed, force=force)
    except InputProblems as problems:
        refuse(problems)
        return
    out = console()
    show_problems(out, made.problems)
    for sentence in made.sentences:
        out.print(sentence, markup=False)
    for path in made.written:
        out.print(f"Wrote {path}", markup=False, soft_wrap=True)
    out.print(f"Next: bakeoff check {made.scenario.folder}", markup=False, soft_wrap=True)
