"""A folder becomes a scenario, or every problem in it is listed at once."""

import hashlib
import json

import pytest

from harness.errors import InputProblems
from harness.scenario import DecisionRule, Kind
from harness.scenario_file.read import Overrides, read_scenario


def rows(n, outputs=("yes", "no"), **more):
    return "".join(
        json.dumps({"input": f"Question {k}?", "output": outputs[k % len(outputs)], **more}) + "\n" for k in range(n)
    )


def folder(tmp_path, **files):
    for name, text in files.items():
        ending = ".toml" if name == "scenario" else ".jsonl"
        (tmp_path / f"{name}{ending}").write_text(text, encoding="utf-8")
    return tmp_path


def problems(path, **named):
    with pytest.raises(InputProblems) as caught:
        read_scenario(path, **named)
    return [str(problem) for problem in caught.value.problems]


def test_an_eval_file_alone_is_a_scenario(tmp_path):
    scenario = read_scenario(folder(tmp_path, eval=rows(40)))
    assert (scenario.name, scenario.kind, scenario.labels) == (tmp_path.name, Kind.LABELS, ("yes", "no"))
    assert scenario.instruction == "Classify the text. Labels: yes, no. Answer with one label only."
    assert scenario.rule == DecisionRule("accuracy", 0.05)
    assert (len(scenario.cases), scenario.train, scenario.documents, scenario.warnings) == (40, (), (), ())


def test_everything_that_was_not_said_is_written_down(tmp_path):
    scenario = read_scenario(folder(tmp_path, eval=rows(40)))
    assert [inference.setting for inference in scenario.inferred] == [
        "kind",
        "labels",
        "instruction",
        "metric",
        "margin",
    ]
    assert all(i.value and i.because and i.override for i in scenario.inferred)


def test_what_was_said_is_not_inferred(tmp_path):
    settings = """
    kind = "labels"
    labels = ["no", "yes", "unsure"]
    instruction = "Say yes, no or unsure."
    seed = 5
    [rule]
    metric = "accuracy"
    margin = 0.1
    target = 0.9
    """
    scenario = read_scenario(folder(tmp_path, eval=rows(10), scenario=settings))
    assert scenario.inferred == ()
    assert scenario.labels == ("no", "yes", "unsure")
    assert scenario.rule == DecisionRule("accuracy", 0.1, target=0.9, seed=5)


def test_the_command_line_wins_over_the_file(tmp_path):
    settings = 'instruction = "old"\nmodel = "old"\nembedder = "old"\narms = ["rag"]\nseed = 1\n'
    said = Overrides(instruction="Say yes or no", model="new", embedder="new", arms=("lora",), seed=0)
    scenario = read_scenario(folder(tmp_path, eval=rows(40), scenario=settings), overrides=said)
    found = (scenario.instruction, scenario.model, scenario.embedder, scenario.arms, scenario.seed)
    assert found == ("Say yes or no", "new", "new", ("lora",), 0)
    assert scenario.rule.seed == 0


def test_an_instruction_without_the_labels_gets_them(tmp_path):
    scenario = read_scenario(folder(tmp_path, eval=rows(40)), overrides=Overrides(instruction="Is it so?"))
    assert scenario.instruction == "Is it so? Labels: yes, no. Answer with one label only."
    assert "does not name the labels" in next(i for i in scenario.inferred if i.setting == "instruction").because


def test_free_text_without_an_instruction_warns(tmp_path):
    scenario = read_scenario(folder(tmp_path, eval=rows(10, ["word " * 30, "other " * 40])))
    assert scenario.kind is Kind.FREE_TEXT
    assert "arms that see no examples cannot know" in str(scenario.warnings[0])


def test_other_file_names_are_followed(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.txt").write_text("text")
    settings = '[files]\neval = "test.jsonl"\ntrain = "fit.jsonl"\ncorpus = "docs"\n'
    scenario = read_scenario(folder(tmp_path, test=rows(10), fit=rows(4), scenario=settings) / "scenario.toml")
    assert (len(scenario.cases), len(scenario.train), len(scenario.documents)) == (10, 4, 1)
    assert (scenario.eval_file, scenario.train_file, scenario.corpus) == ("test.jsonl", "fit.jsonl", "docs")
    assert [name for name, _ in scenario.digests] == ["test.jsonl", "fit.jsonl", "docs/a.txt", "scenario.toml"]


def test_every_file_read_has_its_digest(tmp_path):
    text = rows(4)
    scenario = read_scenario(folder(tmp_path, eval=text))
    assert scenario.digests == (("eval.jsonl", hashlib.sha256(text.encode()).hexdigest()),)


def test_problems_of_all_files_come_at_once_errors_first(tmp_path):
    found = problems(
        folder(
            tmp_path,
            eval='{"input": "a", "output": "b", "x": 1}\n{"input": ""}\n',
            train="nothing\n",
            corpus='{"id": "a"}\n',
            scenario='kind = "no"\n[rule]\nmetric = "accurcy"\n',
        ),
        overrides=Overrides(arms=("promt",)),
    )
    assert [problem.split(": ")[0] for problem in found] == [
        "eval.jsonl:2",
        "eval.jsonl:2",
        "train.jsonl:1",
        "corpus.jsonl:1",
        "scenario.toml:1",
        "--arms",
        "scenario.toml:3",
        "eval.jsonl",
    ]
    assert "did you mean 'accuracy'?" in found[-2]


def test_warnings_alone_do_not_stop_the_reading(tmp_path):
    scenario = read_scenario(folder(tmp_path, eval="\ufeff" + rows(10, extra=1)))
    assert [problem.level for problem in scenario.warnings] == ["warning", "warning"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere", "there is no such folder or file"),
        ("eval.jsonl", "give the folder, not the file in it"),
        ("table.csv", "a table is not a scenario yet; `bakeoff init"),
        ("notes.txt", "neither a folder with an eval.jsonl nor a scenario.toml"),
        ("x" * 300, ""),
        ("a\0b", ""),
    ],
)
def test_a_path_of_another_kind_says_what_to_give(tmp_path, name, sentence):
    for file in ("eval.jsonl", "table.csv", "notes.txt"):
        (tmp_path / file).write_text("x")
    assert sentence in problems(tmp_path / name)[0]


def test_a_folder_without_eval_points_to_a_table_in_it(tmp_path):
    assert "there is no eval.jsonl in" in problems(tmp_path)[0]
    (tmp_path / "my questions.csv").write_text("a,b")
    assert "`bakeoff init '" in problems(tmp_path)[0]


def test_a_named_file_that_is_not_there_is_an_error(tmp_path):
    settings = '[files]\ntrain = "fit.jsonl"\ncorpus = "docs"\n'
    found = problems(folder(tmp_path, eval=rows(4), scenario=settings))
    assert "scenario.toml names it under [files]" in found[0]
    assert "the corpus is not there" in found[1]


def test_an_eval_file_that_is_a_folder_is_an_error(tmp_path):
    (tmp_path / "eval.jsonl").mkdir()
    assert problems(tmp_path) == ["eval.jsonl: the file is a folder; name a file"]


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        ("chrf", "scenario.toml:2: the metric 'chrf' is for free_text; for labels there are accuracy"),
        ("acc", "scenario.toml:2: unknown metric 'acc'; known are accuracy"),
    ],
)
def test_a_metric_of_another_kind_is_an_error(tmp_path, metric, sentence):
    assert problems(folder(tmp_path, eval=rows(40), scenario=f'[rule]\nmetric = "{metric}"\n')) == [sentence]


def test_metrics_of_third_parties_can_be_made_known(tmp_path):
    path = folder(tmp_path, eval=rows(40), scenario='[rule]\nmetric = "mine"\n')
    known = {kind: ("mine",) for kind in Kind}
    assert read_scenario(path, known_metrics=known).rule.metric == "mine"


def test_an_eval_output_outside_the_given_labels_is_an_error_a_training_output_a_warning(tmp_path):
    settings = 'kind = "labels"\nlabels = ["yes", "no"]\n'
    path = folder(tmp_path, eval=rows(4), train=rows(3, ["yes", "no", "nein"]), scenario=settings)
    assert [str(warning) for warning in read_scenario(path).warnings] == [
        "train.jsonl:3: the output 'nein' is none of the labels in scenario.toml; known are yes, no"
    ]
    (tmp_path / "eval.jsonl").write_text(rows(3, ["yes", "no", "nope"]))
    assert problems(path)[0].startswith("eval.jsonl:3: the output 'nope' is none of the labels in scenario.toml")


def test_an_output_that_is_no_object_among_objects_is_an_error(tmp_path):
    (problem,) = problems(folder(tmp_path, eval=rows(19, ['{"a": 1}']) + '{"input": "i", "output": "{oops"}\n'))
    assert problem.startswith("eval.jsonl:20: the output must be a JSON object, because the kind is json; got '{oops'")


def test_limits_cut_by_seed_and_say_so(tmp_path):
    path = folder(tmp_path, eval=rows(50), train=rows(50, [*"abcde"]))
    cut = read_scenario(path, overrides=Overrides(eval_limit=20, train_limit=5))
    assert (len(cut.cases), len(cut.train)) == (20, 5)
    assert {case.output for case in cut.train} == set("abcde")
    assert [(i.setting, i.value) for i in cut.inferred[-2:]] == [("eval rows", "20 of 50"), ("train rows", "5 of 50")]
    assert cut.cases == read_scenario(path, overrides=Overrides(eval_limit=20)).cases
    assert cut.cases != read_scenario(path, overrides=Overrides(eval_limit=20, seed=1)).cases
    assert cut.labels == read_scenario(path).labels


def test_limits_above_the_number_of_rows_change_nothing(tmp_path):
    path = folder(tmp_path, eval=rows(5), train=rows(5))
    assert read_scenario(path, overrides=Overrides(eval_limit=5, train_limit=99)) == read_scenario(path)


def test_a_limit_of_no_training_rows_is_allowed(tmp_path):
    assert read_scenario(folder(tmp_path, eval=rows(5), train=rows(5)), overrides=Overrides(train_limit=0)).train == ()


def test_impossible_options_are_named(tmp_path):
    said = Overrides(arms=("x",), instruction=" ", eval_limit=0, train_limit=-1, seed=-1)
    found = problems(folder(tmp_path, eval=rows(5)), overrides=said)
    assert [problem.split(":")[0] for problem in found] == [
        "--arms",
        "--instruction",
        "--eval-limit",
        "--train-limit",
        "--seed",
    ]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("held_to_labels", "held_to_labels does nothing where answers are free_text, not labels"),
        ("held_to_schema", "held_to_schema does nothing where answers are free_text, not json"),
        ("repair", "repair does nothing where answers are free_text: any text can be read as one"),
    ],
)
def test_a_setting_that_does_nothing_here_is_warned_of(tmp_path, setting, said):
    made = folder(tmp_path, eval=rows(40), scenario=f'kind = "free_text"\n{setting} = true\n')
    assert said in " ".join(str(warning) for warning in read_scenario(made).warnings)


def test_a_file_whose_name_no_system_takes_is_named(tmp_path):
    name = f"{'a' * 300}.jsonl"
    path = folder(tmp_path, scenario=f'[files]\neval = "{name}"\n')
    assert any(one.startswith(name) and "cannot be read" in one for one in problems(path))


def test_an_experiment_of_the_command_line_that_there_is_not_is_named(tmp_path):
    said = problems(folder(tmp_path, eval=rows(40)), overrides=Overrides(experiments=("retreival",)))
    assert any(
        one.startswith("--experiments: there is no experiment 'retreival'; did you mean 'retrieval'") for one in said
    )
