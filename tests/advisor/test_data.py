"""A folder of data becomes answers, whatever of it is there already."""

import json

import pytest

from advisor.data import measured_answers
from advisor.errors import UserError
from advisor.questionnaire import load_questionnaire, parse_value
from advisor.records import Source
from harness.scenario import Kind


def write(folder, name, rows):
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def rows(n, *, start=0):
    return [
        {"input": f"message number {k} on my card", "output": ("late", "lost")[k % 2]} for k in range(start, start + n)
    ]


def values(folder):
    return {answer.key: answer.value for answer in measured_answers(folder).answers}


@pytest.fixture
def whole(tmp_path):
    write(tmp_path, "eval.jsonl", rows(10, start=100))
    write(tmp_path, "train.jsonl", rows(20))
    write(tmp_path, "corpus.jsonl", [{"id": "d", "title": "t", "text": "Cards are made of plastic."}])
    (tmp_path / "scenario.toml").write_text('instruction = "Sort it: late or lost. One label."\n')
    return tmp_path


def test_a_whole_folder_is_measured(whole):
    found = measured_answers(whole)
    assert values(whole) == {
        "task": "classification",
        "labelled_examples": 20,
        "eval_examples": 10,
        "classes": 2,
        "corpus_tokens": 7,
        "input_tokens": 7,
        "instruction_tokens": 10,
    }
    assert found.warnings == ()
    assert found.scenario.kind is Kind.LABELS
    assert found.facts.labelled_rows == 20


def test_every_answer_says_that_it_was_measured_and_how(whole):
    answers = measured_answers(whole).answers
    assert {answer.source for answer in answers} == {Source.DATA}
    assert {answer.key: answer.note for answer in answers}["labelled_examples"] == "20 rows of train.jsonl"
    assert all(answer.note for answer in answers)


def test_every_answer_is_one_that_the_questionnaire_takes(whole):
    questionnaire = load_questionnaire()
    for answer in measured_answers(whole).answers:
        assert parse_value(questionnaire.question(answer.key), answer.value) == answer.value


def test_training_rows_alone_are_measured(tmp_path):
    write(tmp_path, "train.jsonl", rows(20))
    found = measured_answers(tmp_path)
    assert (values(tmp_path)["labelled_examples"], values(tmp_path)["eval_examples"]) == (20, 0)
    assert (values(tmp_path)["task"], found.scenario.kind, found.scenario.cases) == ("classification", Kind.LABELS, ())
    assert [warning.partition(" in ")[0] for warning in found.warnings] == [
        "no eval.jsonl",
        "no corpus.jsonl and no corpus/",
    ]


def test_documents_alone_are_measured(tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_text("Seven words stand here, more or less.")
    found = measured_answers(tmp_path)
    assert [answer.key for answer in found.answers] == ["corpus_tokens"]
    assert (found.scenario, found.facts.kind, found.facts.documents) == (None, None, 1)


def test_eval_rows_alone_are_measured(tmp_path):
    write(tmp_path, "eval.jsonl", rows(20))
    found = values(tmp_path)
    assert (found["eval_examples"], "labelled_examples" in found) == (20, False)


def test_an_empty_folder_says_what_is_looked_for(tmp_path):
    with pytest.raises(UserError) as told:
        measured_answers(tmp_path)
    assert all(name in str(told.value) for name in ("eval.jsonl", "train.jsonl", "corpus.jsonl", "corpus/"))
    assert "bakeoff init" not in str(told.value)


def test_a_table_in_an_otherwise_empty_folder_is_pointed_at(tmp_path):
    (tmp_path / "tickets.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"bakeoff init \S*tickets\.csv"):
        measured_answers(tmp_path)


@pytest.mark.parametrize("with_eval", [True, False])
def test_every_problem_is_listed_at_once(tmp_path, with_eval):
    (tmp_path / "train.jsonl").write_text('{"input": "x"}\n{"input": "y", "output": "z"}\nbroken\n')
    (tmp_path / "scenario.toml").write_text("kindd = 3\n")
    (tmp_path / "corpus.jsonl").write_text('{"text": 5}\n')
    if with_eval:
        write(tmp_path, "eval.jsonl", rows(3))
    with pytest.raises(UserError) as told:
        measured_answers(tmp_path)
    for part in ("train.jsonl:1:", "train.jsonl:3:", "scenario.toml:1:", "corpus.jsonl:1:"):
        assert part in str(told.value)
    assert "eval.jsonl" not in str(told.value)


def test_a_file_that_the_settings_name_must_be_there(tmp_path):
    write(tmp_path, "corpus.jsonl", [{"text": "words"}])
    (tmp_path / "scenario.toml").write_text('[files]\ntrain = "mine.jsonl"\n')
    with pytest.raises(UserError, match=r"there is no mine\.jsonl"):
        measured_answers(tmp_path)
    write(tmp_path, "mine.jsonl", rows(4))
    assert measured_answers(tmp_path).answers[0].note == "4 rows of mine.jsonl"
    (tmp_path / "scenario.toml").write_text('[files]\neval = "cases.jsonl"\n')
    with pytest.raises(UserError, match=r"cases\.jsonl"):
        measured_answers(tmp_path)


def test_a_folder_that_is_not_there_is_the_users_mistake(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        measured_answers(tmp_path / "nowhere")


def test_oddities_of_the_files_are_warnings(tmp_path):
    write(tmp_path, "train.jsonl", [*rows(8), {"input": "a", "output": "late", "colour": "red"}])
    assert any("colour" in warning for warning in measured_answers(tmp_path).warnings)


def test_a_scenario_file_stands_for_its_folder(whole):
    assert measured_answers(whole / "scenario.toml").answers == measured_answers(whole).answers
