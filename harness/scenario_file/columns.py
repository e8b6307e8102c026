"""Which column of a table holds what, and the table's rows as cases."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

from harness.errors import InputProblems
from harness.jsonl import parse_json
from harness.scenario import Case, Problem
from harness.scenario_file.tables import Table, TableRow, cell_text


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Which column holds what; an optional column that bears the field's own name is used unasked."""

    input: str = "input"
    output: str = "output"
    id: str | None = None
    references: str | None = None
    context_id: str | None = None
    group: str | None = None

    def named(self) -> dict[str, str]:
        """Field -> column, for the columns that are named."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return {field: column for field, column in columns.items() if column is not None}


def resolve_columns(columns: ColumnMap, table: Table, *, name: str) -> ColumnMap:
    """Fill in optional columns that bear a field's name. Raises InputProblems for columns that are not there."""
    named = columns.named()
    missing = [
        Problem("error", _missing(field, column, table), name)
        for field, column in named.items()
        if column not in table.columns
    ]
    if missing:
        raise InputProblems(missing)
    free = {field.name for field in fields(ColumnMap)} - set(named) - set(named.values())
    return replace(columns, **{field: field for field in free if field in table.columns})


def table_cases(table: Table, columns: ColumnMap, *, name: str) -> tuple[list[Case], list[Problem]]:
    """Make cases of the rows; a row without input or output is skipped with a warning.

    Raises InputProblems where ids stand twice or fewer than two rows can be used.
    """
    cases: list[Case] = []
    skipped: list[Problem] = []
    for row in table.rows:
        try:
            cases.append(_case(row, columns))
        except ValueError as error:
            skipped.append(Problem("warning", f"{error}; the row was skipped", name, row.number))
    twice = list(_repeated_ids(cases, name))
    if twice:
        raise InputProblems(twice)
    if len(cases) < 2:
        message = f"{len(cases)} of {len(table.rows)} rows can be used, and a split needs two or more"
        raise InputProblems([Problem("error", message, name), *skipped])
    return cases, skipped


def _missing(field: str, column: str, table: Table) -> str:
    by_folded = {name[:60].casefold(): name for name in table.columns[:1000]}
    close = difflib.get_close_matches(column.casefold(), by_folded, n=1, cutoff=0.6)
    hint = f"; did you mean {by_folded[close[0]]!r}?" if close else ""
    option = "--" + field.replace("_", "-")
    return f"there is no column {column!r} for {option}; there are: {', '.join(table.columns[:30])}{hint}"


def _case(row: TableRow, columns: ColumnMap) -> Case:
    """Make a case of a row. Raises ValueError with a sentence where a needed cell is empty."""
    return Case(
        id=_optional(row, columns.id) or f"row-{row.number}",
        input=_needed(row, columns.input),
        output=_needed(row, columns.output).strip(),
        references=_references(row, columns.references),
        context_id=_optional(row, columns.context_id),
        group=_optional(row, columns.group),
        line=row.number,
    )


def _needed(row: TableRow, column: str) -> str:
    text = _text(row, column)
    if not text.strip():
        raise ValueError(f"the cell in column {column!r} is empty")
    return text


def _optional(row: TableRow, column: str | None) -> str | None:
    return _text(row, column).strip() or None if column else None


def _text(row: TableRow, column: str) -> str:
    try:
        return cell_text(row.cells.get(column))
    except ValueError as error:
        raise ValueError(f"the cell in column {column!r} cannot be written as text ({error})") from None


def _references(row: TableRow, column: str | None) -> tuple[str, ...]:
    """A list stays a list, also one written as JSON in a cell of text; any other text is one reference."""
    value = row.cells.get(column) if column else None
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = parse_json(value.encode())
        except ValueError:
            value = [value]
    values = value if isinstance(value, list) else [value]
    return tuple(text for text in (cell_text(item).strip() for item in values) if text)


def _repeated_ids(cases: Sequence[Case], name: str) -> Iterator[Problem]:
    first: dict[str, int | None] = {}
    for case in cases:
        if case.id in first:
            message = f"the id {case.id!r} stands in row {first[case.id]} already; choose a column of unique values"
            yield Problem("error", message, name, case.line)
        first.setdefault(case.id, case.line)
