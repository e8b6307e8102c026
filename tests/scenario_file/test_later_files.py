"""What experiments read beside the rest: every wrong row is named."""

import json

import pytest

from harness.scenario import Case, HumanLabel, Rewording
from harness.scenario_file.later import read_later

CASES = [Case("1", "x", "y"), Case("2", "x", "y")]
GOOD = {"id": "1", "first": "prompt", "second": "rag", "label": "tie"}


def problems(folder, name, *rows):
    (folder / name).write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in rows))
    return [str(one) for one in read_later(folder, CASES).problems]


def test_an_empty_folder_holds_nothing_and_that_is_no_problem(tmp_path):
    found = read_later(tmp_path, CASES)
    assert (found.after, found.rewordings, found.human_labels, found.schema, found.problems) == (None, (), (), "", ())


def test_rows_that_are_right_are_read(tmp_path):
    assert problems(tmp_path, "human_labels.jsonl", GOOD, {**GOOD, "id": "2", "label": "first"}) == []
    assert problems(tmp_path, "paraphrases.jsonl", {"id": "2", "input": "in other words"}) == []
    assert problems(tmp_path, "schema.json", '{"type": "object"}') == []
    found = read_later(tmp_path, CASES)
    assert found.human_labels == (HumanLabel("1", "prompt", "rag", "tie"), HumanLabel("2", "prompt", "rag", "first"))
    assert found.rewordings == (Rewording("2", "in other words"),)
    assert json.loads(found.schema) == {"type": "object"}


@pytest.mark.parametrize(
    ("name", "row", "fault"),
    [
        ("human_labels.jsonl", {**GOOD, "id": "9"}, "there is no eval case with the id '9'"),
        ("human_labels.jsonl", {**GOOD, "id": None}, "'id' must name an eval case"),
        ("human_labels.jsonl", {**GOOD, "second": ""}, "'first' and 'second' must name the two arms"),
        ("human_labels.jsonl", {**GOOD, "label": "third"}, "'label' must be one of first, second, tie; got 'third'"),
        ("human_labels.jsonl", '{"id": }', "broken JSON"),
        ("paraphrases.jsonl", {"id": "1", "input": " "}, "'input' must hold the same request in other words"),
        ("paraphrases.jsonl", {"input": "x"}, "'id' must name an eval case"),
        ("paraphrases.jsonl", "[]", ""),
        ("schema.json", "[]", "a JSON schema must be a JSON object"),
        ("schema.json", "{", "the JSON schema cannot be read"),
    ],
)
def test_a_row_that_is_wrong_is_named(tmp_path, name, row, fault):
    (found,) = problems(tmp_path, name, row)
    assert found.startswith(name)
    assert fault in found


@pytest.mark.parametrize("name", ["human_labels.jsonl", "paraphrases.jsonl", "after/eval.jsonl"])
def test_a_folder_in_a_files_place_is_named(tmp_path, name):
    (tmp_path / name).mkdir(parents=True)
    assert any(str(one).startswith(name) for one in read_later(tmp_path, CASES).problems)


def test_changed_documents_without_questions_are_refused(tmp_path):
    (tmp_path / "after").mkdir()
    (found,) = (one for one in read_later(tmp_path, CASES).problems if one.level == "error")
    assert str(found).startswith("after/: holds no eval.jsonl with the questions whose answers changed")
