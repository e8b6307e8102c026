"""What decides stands from the first eval prediction on."""

import json
from dataclasses import replace

import pytest
from fakes import fake_run, prepared, tiny_scenario, write_scenario_files

from harness import api
from harness.errors import UserError
from harness.experiment.lock import RuleChanged
from harness.experiment.options import RunOptions, Silent
from harness.experiment.run import look_back, opened


@pytest.fixture
def path(tmp_path):
    return write_scenario_files(tmp_path / "scenario", tiny_scenario(cases=10, train=20))


def set_rule(path, before, after):
    file = path / "scenario.toml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('metric = "token_f1"', 'metric = "exact_match"', "metric was token_f1, now it is exact_match"),
        ("margin = 0.05", "margin = 0.01", "margin was 0.05, now it is 0.01"),
        ("fewest_cases = 5", "fewest_cases = 3", "fewest cases was 5, now it is 3"),
        ("margin = 0.05", "margin = 0.05\ntarget = 0.2", "target was none, now it is 0.2"),
    ],
)
def test_a_rule_changed_after_the_first_answers_is_refused_and_named(path, tmp_path, before, after, said):
    fake_run(path, tmp_path / "first", quick=True)
    set_rule(path, before, after)
    with pytest.raises(UserError, match=said) as refused:
        fake_run(path, tmp_path / "second", quick=True)
    assert "--explore" in str(refused.value)
    assert not (tmp_path / "second" / "predictions.jsonl").exists()


def test_a_case_changed_or_taken_out_is_named(path, tmp_path):
    fake_run(path, tmp_path / "first", quick=True)
    rows = [json.loads(line) for line in (path / "eval.jsonl").read_text().splitlines()]
    rows[2]["output"] = "Elsewhere"
    (path / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:-1]))
    with pytest.raises(UserError, match=r"1 eval case was changed \(e2\); 1 eval case was taken out \(e9\)"):
        fake_run(path, tmp_path / "second", quick=True)


def test_exploring_is_allowed_and_marks_the_report_and_the_verdict(path, tmp_path):
    fake_run(path, tmp_path / "first", quick=True)
    set_rule(path, "margin = 0.05", "margin = 0.01")
    finished = fake_run(path, tmp_path / "second", quick=True, explore=True)
    assert finished.verdict.exploratory == ("margin was 0.05, now it is 0.01",)
    api.report(tmp_path / "second")
    text = (tmp_path / "second" / "report.md").read_text()
    assert "(exploratory)" in text
    assert "Exploratory: what decides was changed after answers to these cases had been seen" in text


def test_an_exploratory_run_fixes_nothing(path, tmp_path):
    fake_run(path, tmp_path / "first", quick=True)
    set_rule(path, "margin = 0.05", "margin = 0.01")
    fake_run(path, tmp_path / "second", quick=True, explore=True)
    set_rule(path, "margin = 0.01", "margin = 0.05")
    assert fake_run(path, tmp_path / "third", quick=True, remember=False).verdict.exploratory == ()


def test_new_cases_other_arms_and_cuts_are_no_change(path, tmp_path):
    from harness.scenario_file.read import Overrides

    fake_run(path, tmp_path / "first", quick=True, overrides=Overrides(eval_limit=6))
    fake_run(path, tmp_path / "second", quick=True, overrides=Overrides(arms=("prompt", "rag")))
    with (path / "eval.jsonl").open("a") as stream:
        stream.write(json.dumps({"id": "new", "input": "What is the capital of Neuland?", "output": "Altstadt"}) + "\n")
    assert fake_run(path, tmp_path / "third", quick=True).verdict.exploratory == ()


def test_other_cases_start_afresh(path, tmp_path):
    fake_run(path, tmp_path / "first", quick=True)
    other = write_scenario_files(tmp_path / "other", tiny_scenario(cases=10, train=20))
    rows = [{"id": f"n{n}", "input": f"Who rules Otherland{n}?", "output": f"King{n}"} for n in range(10)]
    (other / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    set_rule(other, "margin = 0.05", "margin = 0.2")
    assert fake_run(other, tmp_path / "second", quick=True).verdict.margin == 0.2


def test_a_cut_of_cases_that_were_seen_is_let_through_and_marked(path, tmp_path):
    from harness.scenario_file.read import Overrides

    fake_run(path, tmp_path / "first", quick=True)
    cut = fake_run(path, tmp_path / "second", quick=True, overrides=Overrides(eval_limit=6), remember=False)
    assert cut.verdict.exploratory[0].startswith("4 eval cases were taken out")


def test_rows_without_ids_are_matched_by_their_input(path, tmp_path):
    rows = [json.loads(line) for line in (path / "eval.jsonl").read_text().splitlines()]
    for row in rows:
        del row["id"]
    (path / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fake_run(path, tmp_path / "first", quick=True)
    (path / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[1:]))
    with pytest.raises(UserError, match="1 eval case was taken out"):
        fake_run(path, tmp_path / "second", quick=True)


def test_an_exploratory_run_confirms_nothing_and_is_not_remembered(path, tmp_path, monkeypatch):
    home = tmp_path / "data"
    monkeypatch.setenv("BAKEOFF_DATA_DIR", str(home))
    advice = '[advice]\ndate = 2026-11-25\napproach = "rag"\nhypothesis = "Retrieval wins."\n'
    (path / "scenario.toml").write_text((path / "scenario.toml").read_text() + advice)
    first = fake_run(path, tmp_path / "first", quick=True)
    assert first.verdict.advice.relation == "confirmed"
    kept = len(list(home.glob("verdicts/*.json")))
    set_rule(path, "margin = 0.05", "margin = 0.01")
    second = fake_run(path, tmp_path / "second", quick=True, explore=True)
    assert second.verdict.advice.relation == "undecided"
    assert len(list(home.glob("verdicts/*.json"))) == kept == 1


def test_a_group_that_is_taken_away_is_a_changed_case(path, tmp_path):
    rows = [json.loads(line) for line in (path / "eval.jsonl").read_text().splitlines()]
    grouped = [{**row, "group": f"g{n // 2}"} for n, row in enumerate(rows)]
    (path / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in grouped))
    fake_run(path, tmp_path / "first", quick=True)
    (path / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match="10 eval cases were changed"):
        fake_run(path, tmp_path / "second", quick=True)


def test_the_same_input_twice_is_no_change_of_its_own(path, tmp_path):
    rows = [json.loads(line) for line in (path / "eval.jsonl").read_text().splitlines()]
    rows.append({"id": "again", "input": rows[0]["input"], "output": "Elsewhere"})
    (path / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fake_run(path, tmp_path / "first", quick=True)
    assert fake_run(path, tmp_path / "second").verdict.exploratory == ()


def test_earlier_verdicts_on_the_same_cases_are_counted_beside_the_verdict(path, tmp_path):
    from harness.scenario_file.read import Overrides

    first = fake_run(path, tmp_path / "first", quick=True)
    assert not any("drawn from these cases before" in one for one in first.verdict.cautions)
    second = fake_run(path, tmp_path / "second", quick=True, overrides=Overrides(arms=("prompt", "rag")))
    assert second.verdict.cautions[0].startswith("One verdict was drawn from these cases before (the first from 10")
    again = fake_run(path, tmp_path / "second", quick=True, overrides=Overrides(arms=("prompt", "rag")))
    assert again.verdict.cautions == second.verdict.cautions
    copy = fake_run(path, tmp_path / "copy", quick=True)
    assert copy.verdict.cautions[0].startswith("One verdict was drawn")
    third = fake_run(path, tmp_path / "third", quick=True, overrides=Overrides(arms=("prompt", "rag", "lora")))
    assert third.verdict.cautions[0].startswith("2 verdicts were drawn")
    api.report(tmp_path / "third")
    assert "2 verdicts were drawn from these cases before" in (tmp_path / "third" / "report.md").read_text()


@pytest.mark.parametrize("explore", [False, True])
def test_a_verdict_that_another_run_came_to_meanwhile_is_looked_back_at(path, tmp_path, explore):
    """As where several runs are begun together, before the others have answers."""
    options = RunOptions(out=tmp_path / "mine", quick=True, explore=explore, use_cache=False)
    ready = prepared(path, options=options)
    with opened(ready, options=options, watcher=Silent()) as begun:
        look_back(begun, ready, options)
        assert not begun.folder.has("exploratory.json"), "nobody came to a verdict yet"
        set_rule(path, "margin = 0.05", "margin = 0.01")
        fake_run(path, tmp_path / "other", quick=True)
        look_back(replace(begun, resumed=True), ready, options)
        assert not begun.folder.has("exploratory.json"), "a run with answers looked when it began"
        if explore:
            look_back(begun, ready, options)
            said = ("margin was 0.01, now it is 0.05",)
            assert begun.folder.read("exploratory.json", tuple[str, ...]) == said
        else:
            with pytest.raises(RuleChanged, match=r"margin was 0\.01, now it is 0\.05"):
                look_back(begun, ready, options)
