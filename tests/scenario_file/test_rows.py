"""Rows: what is accepted, and one sentence with its line for everything else."""

import pytest

from harness.scenario import Case
from harness.scenario_file.rows import read_rows


def read(tmp_path, *lines):
    path = tmp_path / "eval.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return read_rows(path, name="eval.jsonl", prefix="eval")


def problems(tmp_path, *lines):
    return [f"{problem.level}: {problem}" for problem in read(tmp_path, *lines).problems]


def test_a_full_row_becomes_a_case(tmp_path):
    rows = read(
        tmp_path,
        '{"id": "a", "input": " i ", "output": " o\\n", "references": ["p ", 2], "context_id": "d", "group": 7}',
    )
    assert rows.problems == ()
    assert rows.cases == (Case("a", " i ", "o", ("p", "2"), "d", "7"),)
    assert rows.cases[0].line == 1


def test_rows_without_an_id_are_called_by_their_line(tmp_path):
    rows = read(tmp_path, '{"input": "i", "output": "o"}', "", '{"id": "", "input": "i", "output": "o"}')
    assert [case.id for case in rows.cases] == ["eval-1", "eval-3"]
    assert rows.problems == ()


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("12", "12"),
        ("1.50", "1.50"),
        ("true", "true"),
        ('{"b": 1, "a": "ü"}', '{"a": "ü", "b": 1}'),
        ('["x"]', '["x"]'),
        ('"007"', "007"),
        ('"NA"', "NA"),
    ],
)
def test_outputs_of_every_type_become_text(tmp_path, output, text):
    row = '{"input": "i", "output": ' + output + "}"
    assert read(tmp_path, row).cases[0].output == text


def test_null_counts_as_not_given_where_a_field_is_optional(tmp_path):
    rows = read(
        tmp_path, '{"id": null, "input": "i", "output": "o", "references": null, "context_id": null, "group": ""}'
    )
    assert rows.cases == (Case("eval-1", "i", "o"),)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ('{"input": "i"}', "the field 'output' is missing; the row has: input"),
        ("{}", "the fields 'input' and 'output' are missing; the row has: nothing"),
        ('{"input": "", "output": "o"}', "the field 'input' is empty; write the text to answer, or delete the row"),
        ('{"input": 5, "output": "o"}', "the field 'input' must be a text in double quotes, but is a number"),
        ('{"input": "i", "output": " "}', "the field 'output' is empty; write the right answer, or delete the row"),
        ('{"input": "i", "output": null}', "the field 'output' is null; write the right answer, or delete the row"),
        ('{"input": "i", "output": {"a": 1e999}}', "the field 'output' cannot be written as text"),
        ('{"id": ["a"], "input": "i", "output": "o"}', "the field 'id' must be a text, but is a list"),
        ('{"input": "i", "output": "o", "group": true}', "the field 'group' must be a text, but is true/false"),
        ('{"input": "i", "output": "o", "context_id": {}}', "the field 'context_id' must be a text, but is an object"),
        ('{"input": "i", "output": "o", "references": "r"}', 'must be a list such as ["a", "b"], but is a text'),
        ('{"input": "i", "output": "o", "references": ["r", ""]}', "entry 2 of 'references' is empty"),
    ],
)
def test_a_bad_row_is_named_with_its_line_and_the_good_one_is_kept(tmp_path, row, sentence):
    rows = read(tmp_path, '{"input": "i", "output": "o"}', row)
    assert len(rows.cases) == 1
    (problem,) = rows.problems
    assert (problem.level, problem.file, problem.line) == ("error", "eval.jsonl", 2)
    assert sentence in problem.message


def test_all_faults_of_a_row_and_of_all_rows_are_listed_in_file_order(tmp_path):
    found = read(
        tmp_path,
        '{"input": "i", "output": "o"}',
        '{"output": "o"}',
        '{"input": "", "output": ""}',
        "not json",
        '{"input": 1}',
    ).problems
    assert [problem.line for problem in found] == [2, 3, 3, 4, 5, 5]


def test_a_second_row_with_an_id_names_the_first(tmp_path):
    row = '{"id": "a", "input": "i", "output": "o"}'
    assert problems(tmp_path, row, '{"input": "i", "output": "o"}', row, row) == [
        "error: eval.jsonl:3: the id 'a' stands on line 1 already; ids must be unique",
        "error: eval.jsonl:4: the id 'a' stands on line 1 already; ids must be unique",
    ]


def test_the_numbers_1_and_the_text_1_are_the_same_id(tmp_path):
    rows = ('{"id": 1, "input": "i", "output": "o"}', '{"id": "1", "input": "i", "output": "o"}')
    assert "the id '1' stands on line 1 already" in problems(tmp_path, *rows)[0]


def test_unknown_fields_are_named_once(tmp_path):
    rows = ['{"input": "i", "output": "o", "source": 1, "note": 2}'] * 3
    assert problems(tmp_path, *rows) == [
        "warning: eval.jsonl: fields that are not used: source, note"
        " (used are: id, input, output, references, context_id, group)"
    ]


def test_a_field_that_every_row_lacks_is_said_once(tmp_path):
    assert problems(tmp_path, *['{"question": "q", "answer": "a"}'] * 3) == [
        "error: eval.jsonl: no row has 'input' or 'output'; the rows have: question, answer. Rename the fields,"
        " or convert with `bakeoff init eval.jsonl --input FIELD --output FIELD`"
    ]


@pytest.mark.parametrize("lines", [(), ("", "  ")])
def test_a_file_without_rows_is_an_error(tmp_path, lines):
    assert problems(tmp_path, *lines) == [
        'error: eval.jsonl: the file is empty; write one {"input": ..., "output": ...} object a line'
    ]
