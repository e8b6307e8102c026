"""Any table is read, or answered with a sentence, in time; so is any file of rows."""

import io
import json
import os
import tempfile
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from fuzz_seeds import (
    CORPUS_ROWS,
    EDITS,
    FUZZ,
    JSON_VALUES,
    MARKS,
    ROWS,
    SCENARIO,
    XML_BOMB,
    claimed,
    damaged,
    damaged_part,
    in_time,
    parquet,
    repacked,
    workbook,
)
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputProblems
from harness.scenario_file.columns import ColumnMap
from harness.scenario_file.init import init_folder
from harness.scenario_file.read import read_scenario
from harness.scenario_file.tables import read_table

pytestmark = MARKS

SEEDS = {
    ".csv": b'input,output,references\na,"x\ny",\nb,1.50,"[""r""]"\nc,z,\n',
    ".tsv": b"input\toutput\na\tx\nb\ty\nc\tz\n",
    ".json": json.dumps({"data": [{"input": n, "output": str(n)} for n in range(4)]}).encode(),
    ".jsonl": ROWS,
    ".xlsx": workbook(),
    ".parquet": parquet(),
}


@pytest.fixture(autouse=True, scope="module")
def _little_time():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAKEOFF_READ_SECONDS", "3")
        yield


def made_of(name, data):
    """What `init` says of a table: nothing where it could make a scenario, else the sentences."""
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / name
        source.write_bytes(data)
        try:
            with in_time(f"{source.suffix} tables", 6.0):
                init_folder(source, into=Path(place) / "new", columns=ColumnMap())
        except InputProblems as error:
            said = str(error)
            assert said
            assert "fall over" not in said
        else:
            said = ""
        assert {path.name for path in Path(place).iterdir()} <= {name, "new"}
    said.encode()
    return said


def scenario_of(**files):
    """What is wrong with a scenario's folder, as sentences; what is right can be written."""
    with tempfile.TemporaryDirectory() as place:
        for name, data in files.items():
            path = Path(place) / name.replace("__", "/").replace("_", ".", 1)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        try:
            with in_time("scenario folders"):
                found = read_scenario(Path(place))
        except InputProblems as error:
            return str(error)
    repr((found.cases, found.train, found.instruction, found.labels, found.keys)).encode()
    found.instruction.encode()
    return ""


@FUZZ
@given(edits=EDITS, ending=st.sampled_from(sorted(SEEDS)))
def test_damaged_tables_of_every_kind(edits, ending):
    made_of(f"t{ending}", damaged(SEEDS[ending], edits))


@FUZZ
@given(place=st.integers(0, 30), edits=EDITS)
def test_workbooks_of_damaged_parts(place, edits):
    made_of("t.xlsx", damaged_part(SEEDS[".xlsx"], place, edits))


@FUZZ
@given(rows=st.lists(st.dictionaries(st.sampled_from(["input", "output", "references", "id", "group"]), JSON_VALUES)))
def test_any_values_in_a_json_table(rows):
    rows = [{key: value for key, value in row.items() if not _too_long(value)} for row in rows]
    made_of("t.json", json.dumps(rows).encode())


def _too_long(value):
    try:
        json.dumps(value)
    except ValueError:  # Python itself does not write numbers of thousands of digits
        return True
    return False


@FUZZ
@given(values=st.lists(JSON_VALUES, min_size=1, max_size=4), field=st.sampled_from(["input", "output", "id", "group"]))
def test_any_values_in_rows(values, field):
    rows = [{"input": "i", "output": "o", field: value} for value in values if not _too_long(value)]
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    scenario_of(eval_jsonl=ROWS + data, train_jsonl=data)


@FUZZ
@given(
    text=st.text(max_size=40),
    encoding=st.sampled_from(["utf-8-sig", "utf-16", "utf-32", "utf-16-be", "latin-1", "cp1252"]),
    line=st.sampled_from(["\n", "\r", "\r\n", "\x0b"]),
    ending=st.sampled_from([".csv", ".tsv", ".json", ".jsonl"]),
)
def test_tables_in_every_encoding(text, encoding, line, ending):
    mark = "\t" if ending == ".tsv" else ","
    rows = line.join([f"input{mark}output", f"a{text}{mark}b", f"c{mark}{text}", f"e{mark}f"])
    data = rows if ending in (".csv", ".tsv") else json.dumps([{"input": text, "output": text}] * 3)
    made_of(f"t{ending}", data.encode(encoding, "ignore"))


@FUZZ
@given(
    edits=EDITS,
    name=st.sampled_from(
        [
            "eval_jsonl",
            "train_jsonl",
            "corpus_jsonl",
            "paraphrases_jsonl",
            "human_labels.jsonl",
            "schema_json",
            "after__eval.jsonl",
            "after__corpus.jsonl",
        ]
    ),
)
def test_a_damaged_file_of_a_scenario(edits, name):
    seeds = {
        "eval_jsonl": ROWS,
        "scenario_toml": SCENARIO,
        "corpus_jsonl": CORPUS_ROWS,
        "paraphrases_jsonl": b'{"id": "1", "input": "And what is x?"}\n',
        "human_labels.jsonl": b'{"id": "1", "first": "prompt", "second": "rag", "label": "tie"}\n',
        "schema_json": b'{"type": "object", "properties": {"a": {"type": "string"}}}',
        "after__eval.jsonl": ROWS,
        "after__corpus.jsonl": CORPUS_ROWS,
    }
    scenario_of(
        **{key: damaged(data, edits) if key == name else data for key, data in seeds.items()}
        | ({} if name in seeds else {name: damaged(ROWS, edits)})
    )


# ---- bombs, and what was found by the tests above


def sheet(body):
    start = b'<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    return repacked(workbook(), **{"xl__worksheets__sheet1_dot_xml": start + body + b"</worksheet>"})


def far_sheet():
    cell = b'<c r="XFD%d" t="inlineStr"><is><t>a</t></is></c>'
    rows = b"".join(b'<row r="%d">%s</row>' % (n, cell % n) for n in (1, 2, 1_048_576))
    return sheet(b"<sheetData>" + rows + b"</sheetData>")


def endless_sheet():
    return sheet(b'<sheetData><row r="1"><c r="A1"/></row><row r="2000000000"><c r="A2000000000"/></row></sheetData>')


def entity_sheet():
    body = (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" '
    )
    body += b't="inlineStr"><is><t>&a11;</t></is></c></row></sheetData></worksheet>'
    return repacked(workbook(), **{"xl__worksheets__sheet1_dot_xml": XML_BOMB + body})


def large_sheet():
    return claimed(workbook(), "xl/worksheets/sheet1.xml", 600_000_000)


def repeated_parquet():
    """Twenty million equal rows in a few kilobytes."""
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int32()), pa.array(["a" * 1000]))
    table = pa.table({"input": pa.chunked_array([column] * 20), "output": pa.chunked_array([column] * 20)})
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, compression="zstd", row_group_size=1_000_000)
    return out.getvalue()


def row(**fields):
    return json.dumps({"input": "i", "output": "o"} | fields).encode() + b"\n"


TABLE_BOMBS = {
    # name: (file, content, what is said; None: anything)
    "a header of a million columns": ("t.csv", lambda: b"a," * 1_000_000 + b"b\n1,2\n", "stand twice"),
    "a header cell of a megabyte": ("t.csv", lambda: b"a" * 1_000_000 + b",b\n1,2\n", "there is no column 'input'"),
    "a cell of 20 MB": ("t.csv", lambda: b"input,output\na," + b"b" * 20_000_000 + b"\n", "field larger than"),
    "a line of 64 MB": ("t.csv", lambda: b"a" * 64_000_000, None),
    "a quote without an end": ("t.csv", lambda: b'input,output\n"' + b"a,b\n" * 500_000, None),
    "only delimiters": ("t.csv", lambda: b",,,,\n" * 300_000, "the file is empty"),
    "brackets": ("t.json", lambda: b"[" * 100_000, "nested too deeply"),
    "a row of brackets": ("t.jsonl", lambda: b'{"input": ' + b"[" * 100_000 + b"\n", "nested too deeply"),
    "a list of numbers": ("t.json", lambda: b"[" + b"1," * 300_000 + b"1]", "is no object"),
    "a far cell": ("t.xlsx", far_sheet, None),
    "an endless sheet": ("t.xlsx", endless_sheet, None),
    "entities in a workbook": ("t.xlsx", entity_sheet, None),
    "a workbook that unpacks": ("t.xlsx", large_sheet, "unpacks to more than 500 MB"),
    "a Parquet file that unpacks": ("t.parquet", repeated_parquet, None),
    "gzip": ("t.jsonl", lambda: b"\x1f\x8b" + zlib.compress(b"a"), "compressed with gzip"),
}


@pytest.mark.parametrize("name", TABLE_BOMBS)
def test_a_table_bomb_does_not_go_off(name):
    file, content, said = TABLE_BOMBS[name]
    found = made_of(file, content())
    assert said is None or said in found


ROW_BOMBS = {
    "a line of 64 MB": b"a" * 64_000_000,
    "a million empty lines": b"\n" * 1_000_000 + ROWS,
    "brackets in an output": ROWS + row(output="[" * 100_000),
    "braces in an output": ROWS + row(output='{"a":' * 100_000),
    "half a character in outputs": row(output='{"a": "\\ud800"}') * 4,
    "half a character in keys": row(output='{"\\ud800": 1}') * 4,
    "many keys": row(output=json.dumps({f"k{n}": n for n in range(50_000)})) * 2,
    "a number with spaces": row(output="~" + " " * 300_000 + "1" + " " * 300_000 + "x") * 2,
    "many classes": b"".join(row(output=f"{n}", id=n) for n in range(20_000)),
}


@pytest.mark.parametrize("name", ROW_BOMBS)
def test_a_row_bomb_does_not_go_off(name):
    data = b"".join(line.replace(b'"o"', b'"o"') + b"\n" for line in ROW_BOMBS[name].splitlines()) or b"\n"
    scenario_of(eval_jsonl=data)


@pytest.mark.parametrize("ending", sorted(SEEDS))
@pytest.mark.parametrize("kind", ["pipe", "folder", "circle", "nothing", "empty", "NUL", "long"])
def test_a_table_that_is_no_file_is_answered_with_a_sentence(tmp_path, ending, kind):
    path = tmp_path / f"t{ending}"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "circle":
        path.symlink_to(path)
    elif kind == "empty":
        path.touch()
    else:
        path = tmp_path / ("a\0b" if kind == "NUL" else "x" * 5000 if kind == "long" else "none")
        path = path.with_name(path.name + ending)
    with in_time("odd tables"), pytest.raises(InputProblems):
        init_folder(path, into=tmp_path / "new", columns=ColumnMap())
    with in_time("odd tables"), pytest.raises(InputProblems):
        read_table(path)


ROW_FILES = ["eval.jsonl", "train.jsonl", "scenario.toml", "corpus.jsonl", "corpus", "after", "schema.json"]


@pytest.mark.parametrize("name", [*ROW_FILES, "paraphrases.jsonl", "human_labels.jsonl", "after/eval.jsonl"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "circle"])
def test_a_scenario_of_odd_files_is_answered_with_sentences(tmp_path, name, kind):
    (tmp_path / "eval.jsonl").write_bytes(ROWS)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path)
    with in_time("odd scenario files"):
        try:
            read_scenario(tmp_path)
        except InputProblems as error:
            said = str(error)
        else:
            said = "it can be read"
    assert said
