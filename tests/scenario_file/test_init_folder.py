"""`bakeoff init`: a table becomes a folder that reads, and nothing that exists is lost."""

import csv
import json
import tomllib

import pyarrow
import pytest
from pyarrow import parquet

from harness.errors import InputProblems
from harness.scenario import Kind
from harness.scenario_file.columns import ColumnMap
from harness.scenario_file.init import init_folder
from harness.scenario_file.read import read_scenario

QA = ColumnMap(input="question", output="answer")


def table(tmp_path, rows, *, header=("question", "answer"), name="table.csv"):
    path = tmp_path / name
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def pairs(n):
    return [(f"Question {k}?", f"0{k}") for k in range(n)]


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def refusal(source, **named):
    with pytest.raises(InputProblems) as caught:
        init_folder(source, **{"columns": QA, "into": source.parent / "new", **named})
    return [str(problem) for problem in caught.value.problems]


def test_a_table_becomes_a_scenario(tmp_path):
    result = init_folder(table(tmp_path, pairs(400)), into=tmp_path / "new", columns=QA, seed=3)
    assert (result.n_train, result.n_eval, result.skipped) == (320, 80, 0)
    assert result.sentences == ("400 rows were split with seed 3: 80 for eval, 320 for training.",)
    assert [path.name for path in result.written] == ["eval.jsonl", "train.jsonl", "scenario.toml"]
    scenario = read_scenario(tmp_path / "new")
    assert (len(scenario.cases), len(scenario.train), scenario.seed) == (80, 320, 3)
    assert scenario.kind is Kind.SHORT_ANSWER
    assert scenario.inferred == ()


def test_texts_stay_as_they_are(tmp_path):
    init_folder(table(tmp_path, [("a", "007"), ("b", "NA")]), into=tmp_path / "new", columns=QA)
    found = lines(tmp_path / "new/eval.jsonl") + lines(tmp_path / "new/train.jsonl")
    assert sorted((row["id"], row["input"], row["output"]) for row in found) == [
        ("row-2", "a", "007"),
        ("row-3", "b", "NA"),
    ]


def test_the_same_table_gives_the_same_files(tmp_path):
    source = table(tmp_path, pairs(50))
    for name in ("one", "two"):
        init_folder(source, into=tmp_path / name, columns=QA, seed=1)
    for name in ("eval.jsonl", "train.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_all_columns_are_mapped_and_groups_stay_together(tmp_path):
    header = ("question", "answer", "key", "also", "page", "user")
    rows = [(f"Q{k}?", f"A{k}", f"k{k}", '["x", "y"]' if k % 2 else "z", f"p{k}", f"u{k % 5}") for k in range(40)]
    columns = ColumnMap("question", "answer", "key", "also", "page", "user")
    result = init_folder(table(tmp_path, rows, header=header), into=tmp_path / "new", columns=columns)
    held_out, train = lines(tmp_path / "new/eval.jsonl"), lines(tmp_path / "new/train.jsonl")
    assert not {row["group"] for row in held_out} & {row["group"] for row in train}
    assert "of 5 groups are in eval" in result.sentences[1]
    rows_by_id = {row["id"]: row for row in held_out + train}
    assert rows_by_id["k1"] == {
        "id": "k1", "input": "Q1?", "output": "A1", "references": ["x", "y"], "context_id": "p1", "group": "u1"
    }  # fmt: skip
    assert rows_by_id["k2"]["references"] == ["z"]


def test_optional_columns_with_a_field_s_own_name_are_used_unasked(tmp_path):
    init_folder(
        table(tmp_path, [("q1", "a", "x"), ("q2", "b", "y")], header=("question", "answer", "id")),
        into=tmp_path / "new",
        columns=QA,
    )
    assert {lines(tmp_path / "new" / name)[0]["id"] for name in ("eval.jsonl", "train.jsonl")} == {"x", "y"}


def test_empty_cells_are_skipped_counted_and_named_with_their_rows(tmp_path):
    result = init_folder(
        table(tmp_path, [*pairs(10), ("", "x"), ("y", " "), ("a", "b", "c")]), into=tmp_path / "new", columns=QA
    )
    assert result.skipped == 3
    assert [str(problem).split(";")[0] for problem in result.problems] == [
        "table.csv:14: the row has 3 cells, the header 2 (a delimiter in a cell without quotes?)",
        "table.csv:12: the cell in column 'question' is empty",
        "table.csv:13: the cell in column 'answer' is empty",
    ]
    assert "3 rows were skipped" in result.sentences[-1]


def test_a_table_of_empty_cells_is_an_error(tmp_path):
    found = refusal(table(tmp_path, [("", "x"), ("y", "")]))
    assert found[0] == "table.csv: 0 of 2 rows can be used, and a split needs two or more"
    assert len(found) == 3


def test_missing_columns_are_all_named_with_the_closest(tmp_path):
    source = table(tmp_path, pairs(3), header=("Questions", "reply"))
    assert refusal(source) == [
        "table.csv: there is no column 'question' for --input; there are: Questions, reply; did you mean 'Questions'?",
        "table.csv: there is no column 'answer' for --output; there are: Questions, reply",
    ]


def test_ids_that_stand_twice_are_an_error(tmp_path):
    source = table(tmp_path, [("q", "a", "k"), ("r", "b", "k")], header=("question", "answer", "key"))
    assert refusal(source, columns=ColumnMap("question", "answer", "key")) == [
        "table.csv:3: the id 'k' stands in row 2 already; choose a column of unique values"
    ]


def test_rows_of_one_group_cannot_be_split(tmp_path):
    source = table(tmp_path, [("q", "a", "g"), ("r", "b", "g")], header=("question", "answer", "group"))
    assert "the rows cannot be split" in refusal(source)[0]


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"eval_share": 1.5}, "--eval-share: must lie between 0 and 1 (0.2 is one row in five); got 1.5"),
        ({"eval_size": 0}, "--eval-size: must be a whole number, 1 or more; got 0"),
    ],
)
def test_impossible_sizes_are_an_error(tmp_path, option, sentence):
    assert refusal(table(tmp_path, pairs(10)), **option) == [sentence]


def test_what_exists_is_overwritten_only_by_force(tmp_path):
    source = table(tmp_path, pairs(10))
    (tmp_path / "eval.jsonl").write_text("mine")
    (tmp_path / "scenario.toml").write_text("mine")
    found = refusal(source, into=tmp_path)
    assert [problem.split(": ")[1] for problem in found] == [
        "the file is there already; choose another folder, or overwrite it with --force"
    ] * 2
    assert (tmp_path / "eval.jsonl").read_text() == "mine"
    assert not (tmp_path / "train.jsonl").exists()
    init_folder(source, into=tmp_path, columns=QA, force=True)
    assert len(read_scenario(tmp_path).cases) == 5


def test_the_table_itself_is_never_overwritten(tmp_path):
    source = tmp_path / "eval.jsonl"
    source.write_text('{"question": "q", "answer": "a"}\n' * 4)
    assert "the table itself would be overwritten" in refusal(source, into=tmp_path, force=True)[0]


def test_a_folder_with_rows_gets_its_settings_file_only(tmp_path):
    (tmp_path / "eval.jsonl").write_text('{"input": "i", "output": "yes"}\n{"input": "j", "output": "no"}\n')
    result = init_folder(tmp_path, into=tmp_path, columns=ColumnMap())
    assert [path.name for path in result.written] == ["scenario.toml"]
    assert result.sentences == ("scenario.toml was written for the 2 eval and 0 training rows that are there.",)
    assert tomllib.loads((tmp_path / "scenario.toml").read_text())["labels"] == ["yes", "no"]
    with pytest.raises(InputProblems, match="is there already"):
        init_folder(tmp_path, into=tmp_path, columns=ColumnMap())


def test_force_on_a_folder_keeps_what_its_settings_say(tmp_path):
    (tmp_path / "eval.jsonl").write_text('{"input": "i", "output": "yes"}\n')
    (tmp_path / "scenario.toml").write_text("seed = 7\n")
    assert init_folder(tmp_path, into=tmp_path, columns=ColumnMap(), force=True).scenario.seed == 7
    assert read_scenario(tmp_path).seed == 7


def test_a_cell_that_only_begins_like_a_list_is_one_reference_and_a_list_stays_a_list(tmp_path):
    rows = [("a", "1", "[see note"), ("b", "2", '["two", "zwei"]'), ("c", "3", "[]"), ("d", "4", "four")]
    path = table(tmp_path, rows, header=("question", "answer", "also"))
    columns = ColumnMap(input="question", output="answer", references="also")
    init_folder(path, into=tmp_path / "new", columns=columns)
    found = lines(tmp_path / "new/eval.jsonl") + lines(tmp_path / "new/train.jsonl")
    assert {row["input"]: row.get("references", []) for row in found} == {
        "a": ["[see note"],
        "b": ["two", "zwei"],
        "c": [],
        "d": ["four"],
    }


def test_a_cell_that_is_no_text_costs_its_row_and_names_the_column(tmp_path):
    held = pyarrow.table({"question": [b"raw", b"raw"] + [b"raw"] * 2, "answer": ["1", "2", "3", "4"]})
    parquet.write_table(held, tmp_path / "t.parquet")
    said = refusal(tmp_path / "t.parquet")
    assert any("the cell in column 'question' cannot be written as text (" in one for one in said)
