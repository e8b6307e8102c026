"""Tables of every kind give the cells as they were written, with the rows' numbers."""

import datetime
import io
import json
import os
import zipfile

import openpyxl
import pyarrow
import pytest
from fakes import HereInstead
from pyarrow import parquet

from harness.errors import InputProblems
from harness.scenario_file.tables import LARGEST_TABLE, cell_text, read_table


def put(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def texts(table):
    return [(row.number, {name: cell_text(cell) for name, cell in row.cells.items()}) for row in table.rows]


def workbook(*sheets):
    book = openpyxl.Workbook()
    for number, rows in enumerate(sheets):
        sheet = book.active if number == 0 else book.create_sheet()
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.fixture(params=["in a helper process", "in this process"])
def place(request, monkeypatch):
    """What a table says does not depend on where it is read."""
    if request.param == "in this process":
        monkeypatch.setattr("harness.scenario_file.tables.Apart", HereInstead)


def refusal(path):
    with pytest.raises(InputProblems) as caught:
        read_table(path)
    return str(caught.value)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", 'q,a\n1,"x, y"\n"two\nlines",007\n'),
        ("a.csv", 'q;a\r\n1;"x, y"\r\n"two\nlines";007\r\n'),
        ("a.csv", 'sep=|\nq|a\n1|x, y\n"two\nlines"|007\n'),
        ("a.tsv", 'q\ta\n1\tx, y\n"two\nlines"\t007\n'),
        ("a.csv", '\ufeffq,a\n1,"x, y"\n"two\nlines",007\n'),
        ("a.csv", 'q,a\n1,"x, y"\n"two\nlines",007\n'.encode("utf-16")),
        ("a.json", json.dumps([{"q": "1", "a": "x, y"}, {"q": "two\nlines", "a": "007"}], indent=1)),
        ("a.json", json.dumps({"n": 2, "data": [{"q": 1, "a": "x, y"}, {"q": "two\nlines", "a": "007"}]})),
        ("a.jsonl", '{"q": "1", "a": "x, y"}\n{"q": "two\\nlines", "a": "007"}\n'),
        ("a.xlsx", workbook([("q", "a"), (1, "x, y"), ("two\nlines", "007")])),
    ],
)
def test_the_same_table_in_every_form(tmp_path, name, data):
    table = read_table(put(tmp_path, name, data))
    assert set(table.columns) == {"q", "a"}
    assert [cells for _, cells in texts(table)] == [{"q": "1", "a": "x, y"}, {"q": "two\nlines", "a": "007"}]
    assert table.warnings == ()


@pytest.mark.usefixtures("place")
def test_parquet_keeps_texts_lists_and_gaps(tmp_path):
    columns = {"q": ["1", "007"], "n": [1.0, None], "refs": [["a"], []]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    assert texts(read_table(tmp_path / "a.parquet")) == [
        (1, {"q": "1", "n": "1", "refs": '["a"]'}),
        (2, {"q": "007", "n": "", "refs": "[]"}),
    ]


def test_nothing_is_taken_for_a_number_or_for_missing(tmp_path):
    table = read_table(put(tmp_path, "a.csv", "q,a\n007,NA\n1e5,null\nTRUE, x \n"))
    assert [tuple(cells.values()) for _, cells in texts(table)] == [("007", "NA"), ("1e5", "null"), ("TRUE", " x ")]


def test_rows_are_numbered_as_the_file_counts_them(tmp_path):
    assert [n for n, _ in texts(read_table(put(tmp_path, "a.csv", 'q,a\n"x\ny",1\n\nz,2\n')))] == [2, 5]
    book = workbook([(None, None), ("q", "a"), ("x", 1), (None, None), ("z", 2)])
    assert [n for n, _ in texts(read_table(put(tmp_path, "a.xlsx", book)))] == [3, 5]


def test_a_row_with_too_many_cells_is_skipped_and_named(tmp_path):
    table = read_table(put(tmp_path, "a.csv", "q,a\n1,2\nx, y, z\n3\n"))
    assert [tuple(cells.values()) for _, cells in texts(table)] == [("1", "2"), ("3",)]
    assert table.skipped == 1
    assert str(table.warnings[0]).startswith("a.csv:3: the row has 3 cells, the header 2")


def test_more_than_one_sheet_is_said(tmp_path):
    table = read_table(put(tmp_path, "a.xlsx", workbook([("q", "a"), ("x", 1)], [("other",)])))
    assert "only the first sheet, 'Sheet', was read; there are 1 more" in str(table.warnings[0])


def test_a_table_in_latin_1_is_read_with_a_warning(tmp_path):
    table = read_table(put(tmp_path, "a.csv", "q,a\nfür,1\n".encode("latin-1")))
    assert texts(table)[0][1]["q"] == "für"
    assert "was read as Windows-1252" in str(table.warnings[0])


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.csv", "", "a.csv: the file is empty; the first row must name the columns"),
        ("a.csv", "q,a\n", "a.csv: the table has no rows below its header"),
        ("a.csv", "q,q\n1,2\n", "a.csv: the columns 'q' stand twice; rename one of each"),
        ("a.csv", 'q,a\n1,"x\n', "a.csv:2: broken quoting (unexpected end of data)"),
        ("a.csv", "q,a\nx,y\n".encode("utf-16-le"), "a.csv: the file is UTF-16 (without a byte order mark)"),
        ("a.json", '{"q": 1}', "a.json: the file must hold a list of objects [{...}, ...], but holds an object"),
        ("a.json", "[1]", "a.json: entry 1 of the list is no object"),
        ("a.json", '[\n{"a": }]', "a.json: broken JSON at line 2, character 7: a value is expected"),
        ("a.json", "[]", "a.json: the table has no rows"),
        ("a.jsonl", '{"q": 1}\nx\n', "a.jsonl:2: broken JSON"),
        ("a.xlsx", b"rubbish", "a.xlsx: cannot be read as an Excel workbook"),
        ("a.parquet", b"rubbish", "a.parquet: cannot be read as Parquet"),
        (
            "a.xls",
            b"x",
            "a.xls: tables are read from .csv .tsv .xlsx .parquet .arrow .json .jsonl; got the ending '.xls': save",
        ),
        ("a.txt", b"x", "got the ending '.txt': convert it first"),
    ],
)
def test_a_table_that_cannot_be_read_says_why(tmp_path, name, data, sentence):
    assert sentence in refusal(put(tmp_path, name, data))


def test_a_table_that_is_not_there(tmp_path):
    assert refusal(tmp_path / "none.csv") == "none.csv: the file cannot be read (No such file or directory)"


def test_a_table_that_is_too_large_is_refused_unread(tmp_path):
    path = put(tmp_path, "a.csv", "q,a\n")
    os.truncate(path, LARGEST_TABLE + 1)
    assert refusal(path) == "a.csv: the table is larger than 500 MB; split it"


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.scenario_file.tables.LARGEST_TABLE", 1_000_000)
    monkeypatch.setattr("harness.scenario_file.tables.Apart", HereInstead)
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("xl/worksheets/sheet1.xml", bytes(1_000_001))
    assert (tmp_path / "a.xlsx").stat().st_size < 10_000
    assert refusal(tmp_path / "a.xlsx") == "a.xlsx: unpacks to more than 1 MB; split it"


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("data", [b"rubbish", b"ARROW1 rubbish", b""])
def test_an_arrow_file_that_is_none_says_so(tmp_path, data):
    said = refusal(put(tmp_path, "a.arrow", data))
    assert said.startswith("a.arrow: cannot be read as Arrow (")
    assert said.endswith("); write it again")


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("ipc", [pyarrow.ipc.new_stream, pyarrow.ipc.new_file])
def test_both_forms_of_arrow_files_are_read(tmp_path, ipc):
    held = pyarrow.table({"q": ["1", "007"], "a": ["x", None]})
    with ipc(str(tmp_path / "a.arrow"), held.schema) as file:
        file.write_table(held)
    assert texts(read_table(tmp_path / "a.arrow")) == [(1, {"q": "1", "a": "x"}), (2, {"q": "007", "a": ""})]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (3.0, "3"),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (True, "true"),
        (datetime.datetime.fromisoformat("2024-05-01"), "2024-05-01"),
        (datetime.datetime.fromisoformat("2024-05-01T12:30:00"), "2024-05-01T12:30:00"),
        (datetime.timedelta(minutes=5), "0:05:00"),
        ({"b": 1, "a": 2}, '{"a": 2, "b": 1}'),
    ],
)
def test_cells_become_text(value, text):
    assert cell_text(value) == text


def test_bytes_are_no_text():
    with pytest.raises(ValueError, match="holds bytes"):
        cell_text(b"x")
