"""Tables as people keep them (CSV, TSV, XLSX, Parquet, Arrow, JSON, JSON Lines) -> named cells with row numbers.

Cells keep what they hold: in CSV "007" stays "007" and "NA" stays "NA". The libraries for XLSX, Parquet and Arrow work
in a helper process with limits (`harness.apart`).
"""

from __future__ import annotations

import csv
import datetime
import io
import math
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from harness.apart import Apart, Refused
from harness.documents import DAMAGED, decode_text
from harness.errors import InputProblems
from harness.given import CannotRead, refuse_odd_file
from harness.jsonl import encoding_fault, json_lines, kind_of, parse_json, text_of
from harness.scenario import Problem

LARGEST_TABLE = 500_000_000
"""Bytes, unpacked where it is a workbook: a table is held in memory as a whole."""
_LONGEST_CELL = 10_000_000
_HEAD = 100_000
"""Characters by which the delimiter is told."""
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row; `number` is its place in the file as the user counts it (line in CSV, row in XLSX, from 1 elsewhere)."""

    number: int
    cells: dict[str, object]


@dataclass(frozen=True, slots=True)
class Table:
    """A whole table."""

    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    warnings: tuple[Problem, ...] = ()
    skipped: int = 0
    """Rows left out because they do not fit the header; there is a warning for each."""


def read_table(path: Path) -> Table:
    """Read a table by its ending. Raises InputProblems where it is missing, damaged, empty or of another kind."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        hint = "save it as .xlsx" if path.suffix.lower() in (".xls", ".ods", ".numbers") else "convert it first"
        _refuse(path, f"tables are read from {' '.join(READERS)}; got the ending {path.suffix!r}: {hint}")
    try:
        refuse_odd_file(path)
        if path.stat().st_size > LARGEST_TABLE:
            _refuse(path, f"the table is larger than {LARGEST_TABLE // 1_000_000} MB; split it")
        table = reader(path)
    except (CannotRead, Refused) as error:
        _refuse(path, str(error))
    except (OSError, ValueError) as error:  # a name with a NUL in it is a ValueError
        _refuse(path, f"the file cannot be read ({getattr(error, 'strerror', None) or error})")
    if not table.rows:
        _refuse(path, "the table has no rows below its header")
    twice = sorted(column for column, n in Counter(table.columns).items() if n > 1)
    if twice:
        more = f" and {len(twice) - 10} more" if len(twice) > 10 else ""
        _refuse(path, f"the columns {', '.join(map(repr, twice[:10]))}{more} stand twice; rename one of each")
    return table


def cell_text(value: object) -> str:
    """Write a cell as text; '' for an empty one. Raises ValueError for what has no text form, such as bytes."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        raise ValueError("holds bytes, not text")
    return str(value) if isinstance(value, datetime.timedelta) else text_of(value)


def _refuse(path: Path, message: str, line: int | None = None) -> NoReturn:
    raise InputProblems([Problem("error", message, path.name, line)])


def _delimited(path: Path) -> Table:
    text, note = decode_text(path.read_bytes())
    if "\0" in text:
        fault = encoding_fault(text.encode()[:4096]) or "the file holds NUL bytes and is no text"
        _refuse(path, f"{fault}; save it as UTF-8")
    head = re.match(r"sep=(.)\r?\n", text)  # how Excel is told the delimiter
    delimiter = head[1] if head else "\t" if path.suffix.lower() == ".tsv" else _delimiter(text)
    lines = list(_csv_rows(path, text, delimiter=delimiter))[1 if head else 0 :]
    warning = (Problem("warning", note, path.name),) if note else ()
    return _table(path, lines, warnings=warning)


def _delimiter(text: str) -> str:
    """The delimiter that cuts the first line into most columns; a comma where it cannot be told."""
    first = next((line for line in text[:_HEAD].splitlines() if line.strip()), "")
    return max(_DELIMITERS, key=first.count) if len(first) >= _HEAD else max(_DELIMITERS, key=_cuts(first))


def _cuts(line: str) -> Callable[[str], int]:
    csv.field_size_limit(_LONGEST_CELL)
    return lambda mark: len(next(csv.reader([line], delimiter=mark), []))


def _csv_rows(path: Path, text: str, *, delimiter: str) -> Iterator[tuple[int, list[object]]]:
    """Yield each row with the line it starts on; a quoted cell may hold line breaks."""
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            yield line, list(row)
            line = reader.line_num + 1
    except csv.Error as error:
        _refuse(path, f"broken quoting ({error}); a double quote inside a quoted cell is written twice", line)


def _table(path: Path, lines: Iterable[tuple[int, Sequence[object]]], *, warnings: tuple[Problem, ...] = ()) -> Table:
    """Build a table from rows of cells; the first row that is not empty is the header."""
    filled = [(number, cells) for number, cells in lines if not all(map(_is_empty, cells))]
    if not filled:
        _refuse(path, "the file is empty; the first row must name the columns")
    columns = tuple(cell_text(cell).strip() for cell in filled[0][1])
    rows: list[TableRow] = []
    misfits: list[Problem] = []
    for number, cells in filled[1:]:
        if all(map(_is_empty, cells[len(columns) :])):
            rows.append(TableRow(number, {name: cell for name, cell in zip(columns, cells, strict=False) if name}))
        else:
            message = (
                f"the row has {len(cells)} cells, the header {len(columns)} (a delimiter in a cell without quotes?)"
            )
            misfits.append(Problem("warning", f"{message}; it was skipped", path.name, number))
    named = tuple(name for name in columns if name)
    return Table(named, tuple(rows), warnings=(*warnings, *misfits), skipped=len(misfits))


def _is_empty(cell: object) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _xlsx(path: Path) -> Table:
    with Apart() as apart:
        sheet = apart.call(_first_sheet, path)
    note = f"only the first sheet, {sheet.title!r}, was read; there are {sheet.others} more"
    return _table(path, sheet.lines, warnings=(Problem("warning", note, path.name),) if sheet.others else ())


@dataclass(frozen=True, slots=True)
class _Sheet:
    title: str
    others: int
    """Sheets beside it."""
    lines: list[tuple[int, Sequence[object]]]


def _first_sheet(path: Path) -> _Sheet:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with warnings.catch_warnings(), path.open("rb") as stream:
            warnings.simplefilter("ignore")  # remarks on styles and drop-down lists
            _refuse_bombs(path)
            book = load_workbook(stream, read_only=True, data_only=True)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # some programs write wrong ones
            rows = enumerate(sheet.iter_rows(values_only=True), start=1)
            lines = [(number, cells) for number, cells in rows if not all(map(_is_empty, cells))]
            found = _Sheet(sheet.title, len(book.sheetnames) - 1, lines)
            book.close()
    except Refused:
        raise
    except (InvalidFileException, *DAMAGED) as error:
        raise Refused(f"cannot be read as an Excel workbook ({str(error)[:100]}); save it again as .xlsx") from error
    return found


def _refuse_bombs(path: Path) -> None:
    with zipfile.ZipFile(path) as parts:
        if sum(part.file_size for part in parts.infolist()) > LARGEST_TABLE:
            raise Refused(f"unpacks to more than {LARGEST_TABLE // 1_000_000} MB; split it")


def _parquet(path: Path) -> Table:
    with Apart() as apart:
        columns, rows = apart.call(_parquet_rows, path)
    return Table(columns, tuple(TableRow(number, row) for number, row in enumerate(rows, start=1)))


def _parquet_rows(path: Path) -> tuple[tuple[str, ...], list[dict[str, object]]]:
    import pyarrow
    from pyarrow import parquet

    try:
        columns: list[str] = parquet.ParquetFile(path).schema_arrow.names
        rows: list[dict[str, object]] = parquet.read_table(path, partitioning=None).to_pylist()
    except (pyarrow.ArrowException, *DAMAGED) as error:
        raise Refused(f"cannot be read as Parquet ({str(error)[:100]}); write it again") from error
    return tuple(columns), rows


def _arrow(path: Path) -> Table:
    with Apart() as apart:
        columns, rows = apart.call(arrow_rows, path)
    return Table(columns, tuple(TableRow(number, row) for number, row in enumerate(rows, start=1)))


def arrow_rows(path: Path) -> tuple[tuple[str, ...], list[dict[str, object]]]:
    """Both forms of Arrow files: the stream that `datasets` writes, and the file with an index (Feather)."""
    import pyarrow as pa

    try:
        with path.open("rb") as stream:
            indexed = stream.read(6) == b"ARROW1"
        whole = (pa.ipc.open_file if indexed else pa.ipc.open_stream)(str(path)).read_all()
        return tuple(whole.column_names), whole.to_pylist()
    except (pa.ArrowException, OSError, *DAMAGED) as error:
        raise Refused(f"cannot be read as Arrow ({str(error)[:100]}); write it again") from error


def _json(path: Path) -> Table:
    data = path.read_bytes()
    fault = encoding_fault(data[:4096])
    if fault:
        _refuse(path, f"{fault}; save it as UTF-8")
    try:
        value = parse_json(data.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        _refuse(path, str(error))
    rows = _list_in(value)
    if rows is None:
        _refuse(path, f"the file must hold a list of objects [{{...}}, ...], but holds {kind_of(value)}")
    wrong = [number for number, row in enumerate(rows, start=1) if not isinstance(row, dict)]
    if wrong:
        raise InputProblems(
            [Problem("error", f"entry {number} of the list is no object", path.name) for number in wrong[:100]]
        )
    return _objects(rows)


def _list_in(value: object) -> list[object] | None:
    """The list itself, or the only list in an object that wraps it, such as {"data": [...]}."""
    if isinstance(value, list):
        return value
    lists = [inner for inner in value.values() if isinstance(inner, list)] if isinstance(value, dict) else []
    return lists[0] if len(lists) == 1 else None


def _jsonl(path: Path) -> Table:
    lines = list(json_lines(path, name=path.name))
    problems = [line for line in lines if isinstance(line, Problem)]
    if any(problem.level == "error" for problem in problems):
        raise InputProblems(problems)
    rows = tuple(TableRow(line.number, line.fields) for line in lines if not isinstance(line, Problem))
    return Table(_columns(row.cells for row in rows), rows, tuple(problems))


def _objects(values: Iterable[object]) -> Table:
    rows = tuple(TableRow(n, value) for n, value in enumerate(values, start=1) if isinstance(value, dict))
    return Table(_columns(row.cells for row in rows), rows)


def _columns(cells: Iterable[dict[str, object]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for row in cells for name in row))


READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": _delimited,
    ".tsv": _delimited,
    ".xlsx": _xlsx,
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".json": _json,
    ".jsonl": _jsonl,
}
