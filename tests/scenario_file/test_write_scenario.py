"""scenario.toml is written with comments and reads back to the same settings."""

import json
import tomllib
from dataclasses import replace

import pytest

from harness.scenario import DecisionRule, Kind, StatedAdvice, TuningWish
from harness.scenario_file.read import Overrides, read_scenario
from harness.scenario_file.write import write_scenario_file

OUTPUTS = {
    Kind.LABELS: ["yes, surely", 'no "way"', "ümläut\\n"],
    Kind.JSON: ['{"a": "x", "b b": {"c": 1}}', '{"a": "y"}'],
    Kind.SHORT_ANSWER: [f"Place {n}" for n in range(30)],
    Kind.FREE_TEXT: [f"{'word ' * 30}{n}" for n in range(30)],
}


def settings_of(scenario):
    """What a settings file can say; digests, warnings and inferences differ by nature."""
    return replace(scenario, inferred=(), warnings=(), digests=())


def scenario_of(tmp_path, kind, **said):
    outputs = OUTPUTS[kind]
    lines = [json.dumps({"input": f"Text {n}", "output": outputs[n % len(outputs)]}) for n in range(30)]
    (tmp_path / "eval.jsonl").write_text("\n".join(lines))
    return read_scenario(tmp_path, overrides=Overrides(**said))


@pytest.mark.parametrize("kind", list(Kind))
def test_an_inferred_scenario_reads_back_the_same(tmp_path, kind):
    scenario = scenario_of(tmp_path, kind)
    assert scenario.kind is kind
    write_scenario_file(scenario, tmp_path / "scenario.toml")
    again = read_scenario(tmp_path)
    assert settings_of(again) == settings_of(scenario)
    assert [inference.setting for inference in again.inferred] == (["instruction"] if scenario.warnings else [])


def test_every_setting_reads_back_the_same(tmp_path):
    scenario = replace(
        scenario_of(tmp_path, Kind.LABELS, instruction='Two\nlines, "quoted" \\ and a tab\t.', arms=("rag", "lora")),
        name="Größe",
        max_new_tokens=9,
        seed=4,
        model="org/model",
        embedder="C:\\models\\e",
        rule=DecisionRule("accuracy", 0.07, 0.01, 12, 0.5, 2500, seed=4),
    )
    write_scenario_file(scenario, tmp_path / "scenario.toml")
    assert settings_of(read_scenario(tmp_path)) == settings_of(scenario)


def test_an_instruction_that_only_fills_a_gap_goes_on_warning(tmp_path):
    scenario = scenario_of(tmp_path, Kind.FREE_TEXT)
    write_scenario_file(scenario, tmp_path / "scenario.toml")
    assert "Say here what the job is; until then this is used:\n# instruction = " in (
        tmp_path / "scenario.toml"
    ).read_text(encoding="utf-8")
    assert read_scenario(tmp_path).warnings == scenario.warnings != ()


def test_how_to_tune_is_kept(tmp_path):
    wish = TuningWish(epochs=2, learning_rate=0.001)
    scenario = replace(scenario_of(tmp_path, Kind.LABELS), tuning=wish)
    write_scenario_file(scenario, tmp_path / "scenario.toml")
    assert read_scenario(tmp_path).tuning == wish


def test_what_was_advised_is_kept(tmp_path):
    advice = StatedAdvice(
        "2026-11-25", "rag", "few_shot", "It wins.", "likely", (("classes", 0), ("gap", "facts")), (("gap", "typed"),)
    )
    write_scenario_file(replace(scenario_of(tmp_path, Kind.LABELS), advice=advice), tmp_path / "scenario.toml")
    assert read_scenario(tmp_path).advice == advice


def test_that_answers_are_held_to_labels_is_kept(tmp_path):
    write_scenario_file(replace(scenario_of(tmp_path, Kind.LABELS), held_to_labels=True), tmp_path / "scenario.toml")
    assert read_scenario(tmp_path).held_to_labels


def test_other_file_names_are_kept(tmp_path):
    scenario = scenario_of(tmp_path, Kind.LABELS)
    (tmp_path / "eval.jsonl").rename(tmp_path / "test.jsonl")
    write_scenario_file(replace(scenario, eval_file="test.jsonl"), tmp_path / "scenario.toml")
    assert read_scenario(tmp_path).eval_file == "test.jsonl"


def test_the_file_says_what_each_line_is_for_and_why(tmp_path):
    write_scenario_file(scenario_of(tmp_path, Kind.SHORT_ANSWER), tmp_path / "scenario.toml")
    text = (tmp_path / "scenario.toml").read_text(encoding="utf-8")
    assert "# One of labels, json, short_answer, free_text.\n# Inferred: half of the outputs" in text
    assert "# model =\n" in text
    assert tomllib.loads(text)["rule"]["fewest_cases"] == 30
