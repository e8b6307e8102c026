"""JSON Lines: what is read, and the sentence for everything that cannot be."""

from decimal import Decimal

import pytest

from harness import jsonl
from harness.jsonl import JsonLine, json_lines, text_of
from harness.scenario import Problem


def read(tmp_path, data):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(json_lines(path, name="rows.jsonl"))


def messages(items):
    return [str(item) for item in items if isinstance(item, Problem)]


def test_lines_are_numbered_as_an_editor_numbers_them(tmp_path):
    lines = read(tmp_path, '{"a": 1}\n\n  \r\n{"a": 2}\r\n{"a": 3}')
    assert [(line.number, line.fields) for line in lines] == [(1, {"a": 1}), (4, {"a": 2}), (5, {"a": 3})]


def test_a_number_with_a_point_keeps_its_digits(tmp_path):
    (line,) = read(tmp_path, '{"price": 1.10}')
    assert line.fields["price"] == Decimal("1.10")
    assert text_of(line.fields["price"]) == "1.10"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is ", "as it is "),
        (7, "7"),
        (True, "true"),
        ({"b": 1, "a": ["ü", Decimal("1.5"), None]}, '{"a": ["ü", 1.5, null], "b": 1}'),
        ([1, "x"], '[1, "x"]'),
    ],
)
def test_values_become_text_the_same_way_every_time(value, text):
    assert text_of(value) == text


def test_a_byte_order_mark_is_skipped_with_a_warning(tmp_path):
    warning, line = read(tmp_path, b'\xef\xbb\xbf{"a": 1}\n')
    assert warning.level == "warning"
    assert "BOM" in warning.message
    assert line == JsonLine(1, {"a": 1})


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"a": 1 "b": 2}', "broken JSON at character 9: a comma or a closing bracket is missing; near"),
        ('{"a" 1}', "broken JSON at character 6: the colon after a field's name is missing"),
        ("{'a': 1}", "broken JSON at character 2: a field's name in double quotes is expected"),
        ('{"a": "x', "broken JSON at character 7: a text in double quotes is opened and never closed"),
        ('{"a": 1} {"a": 2}', "broken JSON at character 10: there is more text after the object's end"),
        ('{"a": "x\ty"}', "a raw tab or line break stands inside a text"),
        ('{"a": "\\x"}', "a lone backslash stands in a text"),
        ('{"a": NaN}', "NaN is no JSON value"),
        ('{"a": 1, "a": 2}', "the name 'a' stands twice in one object"),
        ('{"a": "\\ud83d"}', "half a character"),
        ('{"a": %s}' % ("9" * 5000), "a number has 5000 digits"),
        ('{"a": 1e99999999999999999999}', "a number is out of range"),
        ("[" * 100_000, "brackets are nested too deeply"),
        ("[1, 2]", "must be a JSON object {...}, but is a list"),
        ("null", "must be a JSON object {...}, but is null"),
        ("hello", "broken JSON at character 1: a value is expected; near 'hello'"),
    ],
)
def test_a_broken_line_says_what_is_wrong_and_where(tmp_path, line, sentence):
    first, problem, last = read(tmp_path, '{"ok": 1}\n' + line + '\n{"ok": 2}\n')
    assert (problem.level, problem.file, problem.line) == ("error", "rows.jsonl", 2)
    assert sentence in problem.message
    assert (first.number, last.number) == (1, 3)


def test_latin_1_is_named_with_its_byte(tmp_path):
    (problem,) = read(tmp_path, '{"a": "für"}'.encode("latin-1"))
    assert str(problem) == (
        "rows.jsonl:1: not UTF-8: byte 9 of the line is 0xFC (Latin-1 or Windows-1252, probably);"
        " save the file as UTF-8"
    )


def test_a_nul_byte_is_named_with_its_place(tmp_path):
    assert "a NUL byte stands at byte 8" in messages(read(tmp_path, b'{"a": "\0"}'))[0]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_one_error_not_one_for_each_line(tmp_path, encoding):
    (problem,) = read(tmp_path, ('{"a": "some text"}\n' * 50).encode(encoding))
    assert problem.line is None
    assert "the file is UTF-" in problem.message
    assert problem.message.endswith("save it as UTF-8")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ('[{"a": 1},\n {"a": 2}]', "one JSON list, not JSON Lines"),
        ("[\n", "one JSON list, not JSON Lines"),
        ('{\n "a": 1\n}\n', "an object is spread over several lines"),
        (b"PK\x03\x04\x14\0\0\0", "the file is a zip file"),
        (b"PAR1\x15\x04", "the file is a Parquet file"),
        (b"\x1f\x8b\x08\0", "the file is compressed with gzip"),
    ],
)
def test_a_file_of_another_kind_is_one_error(tmp_path, data, sentence):
    (problem,) = read(tmp_path, data)
    assert sentence in problem.message


def test_a_line_that_is_too_long_is_an_error_and_the_next_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "LONGEST_LINE", 50)
    problem, line = read(tmp_path, '{"a": "%s"}\n{"a": 1}\n' % ("x" * 500))
    assert "the line is longer than" in problem.message
    assert (problem.line, line.number) == (1, 2)


def test_a_last_line_that_is_too_long_ends_the_reading(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "LONGEST_LINE", 50)
    assert len(read(tmp_path, '{"a": 1}\n{"a": "%s' % ("x" * 500))) == 2


def test_a_missing_file_is_an_error(tmp_path):
    (problem,) = json_lines(tmp_path / "none.jsonl", name="none.jsonl")
    assert str(problem) == "none.jsonl: the file cannot be read (No such file or directory)"


def test_an_empty_file_yields_nothing(tmp_path):
    assert read(tmp_path, b"") == []
