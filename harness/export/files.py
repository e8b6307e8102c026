"""Tables into files: Parquet for programs, CSV for spreadsheets."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from harness.disk import replaced, write_whole
from harness.export.tables import Cell, FlatTable

ACTING = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the start of a formula (OWASP, "CSV Injection")."""
ROW_GROUP = 16_384
"""Rows that are held at a time."""


def write_csv(table: FlatTable, path: Path) -> None:
    """UTF-8 with a byte order mark, which spreadsheets need to read it as such. Raises OSError.

    A text that a spreadsheet would take for a formula gets an apostrophe before it; numbers stay numbers.
    """
    write_whole(path, _csv_lines(table), private=True)


def _csv_lines(table: FlatTable) -> Iterator[bytes]:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    yield codecs.BOM_UTF8
    for cells in itertools.chain([table.columns], (row.values() for row in table.rows)):
        writer.writerow([_harmless(cell) for cell in cells])
        yield out.getvalue().encode("utf-8", "replace")
        out.seek(0)
        out.truncate()


_FORMULA = re.compile(r"(?:^|[;,\t|\r\n])[\s\"']*[=+@\-\uff1d\uff0b\uff20\uff0d]")
"""A formula at the start, or where another delimiter than ours would begin a cell; full-width signs act too."""


def _harmless(cell: Cell) -> Cell:
    """A formula may hide behind spaces, and NUL ends a cell for some readers."""
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\0", "\N{SYMBOL FOR NULL}")
    return f"'{text}" if text.startswith(ACTING) or _FORMULA.search(text) else text


def write_parquet(table: FlatTable, path: Path) -> None:
    """One column a field, of its declared type whatever is in it, compressed. Raises OSError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in table.columns.items()])
    rows = ({name: _encodable(cell) for name, cell in row.items()} for row in table.rows)
    with replaced(path, private=True) as stream, pq.ParquetWriter(stream, schema) as writer:
        while part := list(itertools.islice(rows, ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist(part, schema=schema))


def _encodable(cell: Cell) -> Cell:
    """Halves of characters cannot be written as UTF-8."""
    return cell.encode("utf-8", "replace").decode() if isinstance(cell, str) else cell
