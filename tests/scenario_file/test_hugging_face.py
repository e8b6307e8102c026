"""Datasets as Hugging Face's library saves them."""

import json
import shlex
import shutil
import subprocess
import sys

import pytest

from harness import api
from harness.errors import InputProblems, MissingModel, UserError
from harness.scenario_file.columns import ColumnMap
from harness.scenario_file.hugging_face import read_saved_dataset

MAIN = "from harness.cli.main import main; main()"
COLUMNS = ColumnMap(input="text", output="label")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """`both` has splits, `one` has none; labels are held as numbers."""
    import datasets

    datasets.disable_progress_bars()
    labels = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["card", "loan"])})

    def rows(name, count):
        texts = [f"{name} says: my {('card', 'loan')[n % 2]} number {n}" for n in range(count)]
        return datasets.Dataset.from_dict({"text": texts, "label": [n % 2 for n in range(count)]}, features=labels)

    folder = tmp_path_factory.mktemp("hf")
    both = datasets.DatasetDict({"train": rows("train", 40), "test": rows("test", 20)})
    both.save_to_disk(str(folder / "both"), num_shards={"train": 2, "test": 1})
    rows("all", 60).save_to_disk(str(folder / "one"))
    return folder


def cases_in(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_dataset_keeps_its_own_splits_and_its_labels_names(saved, tmp_path):
    made = api.init_source(saved / "both", into=tmp_path / "s", columns=COLUMNS)
    train, held_out = cases_in(tmp_path / "s" / "train.jsonl"), cases_in(tmp_path / "s" / "eval.jsonl")
    assert (made.n_train, made.n_eval) == (40, 20)
    assert all(row["input"].startswith("train") for row in train)
    assert all(row["input"].startswith("test") for row in held_out)
    assert {row["output"] for row in train} == {"card", "loan"}
    assert all(row["output"] in row["input"] for row in (*train, *held_out)), "the label of its own row"
    assert len({row["id"] for row in (*train, *held_out)}) == 60


def test_a_part_of_the_held_out_split_can_be_taken(saved, tmp_path):
    made = api.init_source(saved / "both", into=tmp_path / "s", columns=COLUMNS, eval_size=7)
    assert made.n_eval == 7
    assert "7 of its 20 rows" in made.sentences[0]


def test_a_dataset_without_splits_is_split_like_a_table(saved, tmp_path):
    made = api.init_source(saved / "one", into=tmp_path / "s", columns=COLUMNS, eval_size=20)
    assert (made.n_train, made.n_eval) == (40, 20)
    assert {case.output for case in made.scenario.cases} == {"card", "loan"}


@pytest.mark.parametrize("name", ["both", "one"])
def test_what_a_check_of_a_dataset_says_to_do_is_what_works(saved, tmp_path, name):
    folder = tmp_path / f"my {name}"
    shutil.copytree(saved / name, folder)
    with pytest.raises(InputProblems) as told:
        api.check(folder)
    said = str(told.value)
    assert "(its columns: text, label)" in said
    command = shlex.split(said.split("`")[1].replace("COLUMN", "text", 1).replace("COLUMN", "label"))
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *command[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert api.check(tmp_path / f"my {name}-bakeoff").scenario.labels == ("card", "loan")


def test_a_dataset_that_is_damaged_is_still_one(saved, tmp_path):
    shutil.copytree(saved / "one", tmp_path / "d")
    damaged(tmp_path / "d", "dataset_info.json", lambda data: b"[")
    with pytest.raises(InputProblems, match=r"d --input COLUMN --output COLUMN` makes a scenario of it$"):
        api.check(tmp_path / "d")


def test_an_arrow_file_is_a_table_that_can_be_made_a_scenario(saved):
    (file,) = (saved / "one").glob("*.arrow")
    with pytest.raises(InputProblems, match=r"a table is not a scenario yet; `bakeoff init .*\.arrow --input"):
        api.check(file)


def test_a_test_split_whose_labels_are_not_told_is_passed_over(tmp_path):
    import datasets

    labels = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["card", "loan"])})

    def rows(name, told):
        texts = [f"{name} my {('card', 'loan')[n % 2]} {n}" for n in range(30)]
        numbers = [n % 2 if told else -1 for n in range(30)]
        return datasets.Dataset.from_dict({"text": texts, "label": numbers}, features=labels)

    parts = {"train": rows("train", True), "test": rows("test", False), "validation": rows("validation", True)}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "d"))
    made = api.init_source(tmp_path / "d", into=tmp_path / "s", columns=COLUMNS)
    assert "'validation' for eval" in made.sentences[0]
    assert {case.output for case in made.scenario.cases} == {"card", "loan"}


def test_a_single_arrow_file_is_a_table(saved, tmp_path):
    (file,) = (saved / "one").glob("*.arrow")
    made = api.init_source(file, into=tmp_path / "s", columns=COLUMNS)
    assert made.n_train + made.n_eval == 60
    assert {case.output for case in made.scenario.cases} == {"0", "1"}, "the labels' names are not in the file"


def test_an_arrow_file_with_an_index_is_a_table_too(tmp_path):
    import pyarrow as pa
    from pyarrow import feather

    feather.write_feather(pa.table({"input": ["a", "b"], "output": ["x", "y"]}), str(tmp_path / "t.arrow"))
    from harness.scenario_file.tables import read_table

    assert [row.cells for row in read_table(tmp_path / "t.arrow").rows] == [
        {"input": "a", "output": "x"},
        {"input": "b", "output": "y"},
    ]


def damaged(folder, name, change):
    path = folder / name
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("state.json", lambda data: data.replace(b"data-", b"../data-"), "which is not in it"),
        ("state.json", lambda data: b"[]", "no dataset as save_to_disk writes it"),
        ("state.json", lambda data: data[:20], "no dataset as save_to_disk writes it"),
        ("state.json", lambda data: b"[" * 100_000, "no dataset as save_to_disk writes it"),
        ("state.json", lambda data: data.replace(b"data-", b"dato-"), "No such file"),
        ("data-00000-of-00001.arrow", lambda data: b"nothing" * 50, "cannot be read as Arrow"),
        ("data-00000-of-00001.arrow", lambda data: data[: len(data) // 2], "cannot be read as Arrow"),
        ("dataset_info.json", lambda data: b'{"features": 3}', "no dataset as save_to_disk writes it"),
    ],
)
def test_a_damaged_dataset_is_one_sentence(saved, tmp_path, name, change, said):
    shutil.copytree(saved / "one", tmp_path / "d")
    damaged(tmp_path / "d", name, change)
    with pytest.raises(InputProblems, match=said):
        read_saved_dataset(tmp_path / "d")


def test_the_hub_is_asked_only_by_name_and_a_bad_name_is_said(tmp_path):
    with pytest.raises(UserError, match="hf://OWNER/NAME"):
        api.init_source(api.Path("hf:/fancy"), into=tmp_path)


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingModel, match=r"bakeoff-advisor\[datasets\]"):
        api.init_source(api.Path("hf:/owner/name"), into=tmp_path)


def test_a_hub_that_cannot_be_reached_is_one_sentence(monkeypatch, tmp_path):
    import datasets

    def unreachable(*_):
        raise ConnectionError("Couldn't reach 'owner/name' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(UserError, match="could not be fetched: Couldn't reach"):
        api.init_source(api.Path("hf:/owner/name"), into=tmp_path)


def test_a_dataset_of_the_hub_becomes_a_scenario_named_after_it(saved, monkeypatch, tmp_path):
    import datasets

    asked = []
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *named: asked.append(named) or datasets.load_from_disk(str(saved / "both"))
    )
    monkeypatch.chdir(tmp_path)
    made = api.init_source(api.Path("hf:/owner/name/part"), columns=COLUMNS)
    assert asked == [("owner/name", "part")]
    assert (made.n_train, made.n_eval) == (40, 20)
    assert {case.output for case in made.scenario.cases} == {"card", "loan"}
    assert (tmp_path / "part" / "eval.jsonl").exists()


def test_a_dataset_that_is_too_large_is_refused_unread(saved, monkeypatch):
    monkeypatch.setattr("harness.scenario_file.hugging_face.LARGEST_TABLE", 1)
    with pytest.raises(InputProblems, match="is larger than 0 MB; take a part of it"):
        read_saved_dataset(saved / "one")


def test_a_dataset_whose_labels_are_all_untold_is_refused(tmp_path):
    import datasets

    labels = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["card", "loan"])})
    rows = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [-1, -1]}, features=labels)
    rows.save_to_disk(str(tmp_path / "d"))
    with pytest.raises(InputProblems, match="the dataset has no rows with labels that are told"):
        read_saved_dataset(tmp_path / "d")
