"""Defects planted on purpose: each is caught, each time. (A judge that prefers the first answer: tests/judging.)"""

import json
import shutil
from collections import Counter

import pytest
from fakes import FakeEngine, FakeModel, fake_run, tiny_scenario, write_scenario_files

from harness import api
from harness.errors import UserError
from harness.experiment.early import Looker, shards
from harness.experiment.score import largest_group
from harness.records import Prediction, VerdictKind
from harness.scenario import Case, DecisionRule, Kind
from harness.scenario_file.read import Overrides


def rewrite(path, change):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in change(rows)))


def test_eval_rows_leaked_into_training_are_taken_out_and_reported(tmp_path):
    path = write_scenario_files(tmp_path / "s", tiny_scenario(cases=10, train=20))
    leaked = [json.loads(line) for line in (path / "eval.jsonl").read_text().splitlines()][:3]
    rewrite(path / "train.jsonl", lambda rows: [*rows, *({**row, "id": f"x{row['id']}"} for row in leaked)])
    fake_run(path, tmp_path / "run", quick=True)
    removed = {row.train_id for row in api.report_data(tmp_path / "run").scenario.removed}
    assert removed == {"xe0", "xe1", "xe2"}


def test_contradictory_labels_are_named_before_anything_runs(tmp_path):
    path = write_scenario_files(tmp_path / "s", tiny_scenario(cases=10, train=20))
    rewrite(
        path / "train.jsonl",
        lambda rows: [*rows, {**rows[0], "id": "twice", "output": "Othertown"}],
    )
    warned = " ".join(str(problem) for problem in api.check(path).problems)
    assert "stands with different outputs: 'City10' (train.jsonl:1), 'Othertown' (train.jsonl:21)" in warned


def test_a_wrong_corpus_is_seen_by_check_and_rag_is_not_recommended(tmp_path):
    scenario = tiny_scenario(cases=10, train=20)
    path = write_scenario_files(tmp_path / "s", scenario)
    rewrite(path / "corpus.jsonl", lambda rows: [{**row, "text": "Nothing of interest stands here."} for row in rows])
    warned = " ".join(str(problem) for problem in api.check(path).problems)
    assert "in no document" in warned or "no document holds" in warned
    finished = fake_run(path, tmp_path / "run", overrides=Overrides(seeds=1))
    assert finished.verdict.arm not in ("rag", "rag_lora")


def test_an_arm_that_crashes_on_its_hard_cases_gains_nothing_by_it(tmp_path):
    """The plain prompt fails wherever it would have been wrong; the failures stay in its mean, as wrong."""
    scenario = tiny_scenario(cases=12, train=20)
    hard = tuple(f"Landia{n}?" for n in range(6))
    canned = {case.input: case.output for case in scenario.cases[6:]}
    path = write_scenario_files(tmp_path / "s", scenario)
    model = FakeModel(canned=canned, fails_on=hard)
    finished = fake_run(
        path, tmp_path / "run", engine=FakeEngine(model), overrides=Overrides(seeds=1, arms=("prompt",))
    )
    score = next(one for one in finished.verdict.scores if one.arm == "prompt")
    assert (score.n, score.failed, score.value) == (12, 6, 0.5)
    assert any("6 of 12" in sentence or "failed" in sentence for sentence in finished.verdict.sentences)


def test_a_metric_added_later_is_refused(tmp_path):
    path = write_scenario_files(tmp_path / "s", tiny_scenario(cases=10, train=20))
    fake_run(path, tmp_path / "first", quick=True)
    text = (path / "scenario.toml").read_text()
    (path / "scenario.toml").write_text(text.replace('metric = "token_f1"', 'metric = "contains"'))
    with pytest.raises(UserError, match="metric was token_f1, now it is contains"):
        fake_run(path, tmp_path / "second", quick=True)


def test_a_hopeless_arm_is_stopped_and_the_good_ones_answer_everything(tmp_path):
    scenario = tiny_scenario(cases=120, train=20)
    path = write_scenario_files(tmp_path / "s", scenario)
    asked = Overrides(arms=("prompt", "rag"), stop_early=True)
    finished = fake_run(path, tmp_path / "run", overrides=asked, remember=False)
    verdict = finished.verdict
    assert [(one.arm, one.by) for one in verdict.stopped] == [("prompt", "rag")]
    assert verdict.stopped[0].after < 120
    assert (verdict.kind, verdict.arm) == (VerdictKind.WINNER, "rag")
    answered = {arm: len(made) for arm, made in finished.folder.predictions().items()}
    assert answered["rag"] == 120
    assert answered["prompt"] == verdict.stopped[0].after
    shutil.rmtree(tmp_path / "run" / "experiments", ignore_errors=True)
    assert api.score(tmp_path / "run")  # the verdict can be drawn again


def test_shards_hold_every_case_once_and_whole_groups():
    cases = [Case(str(n), "x", "y", group=f"g{n // 3}") for n in range(100)]
    parts = shards(cases, seed=1)
    assert sorted(int(case.id) for part in parts for case in part) == list(range(100))
    for part in parts:
        groups = Counter(case.group for case in part)
        assert all(count == (1 if name == "g33" else 3) for name, count in groups.items())
    assert largest_group(cases) == 3
    assert shards(cases, seed=1) == parts != shards(cases, seed=2)


def test_an_arm_without_all_answers_is_not_looked_at():
    cases = [Case(str(n), "x", "yes") for n in range(60)]
    rule = DecisionRule("accuracy", 0.05, resamples=200)
    looker = Looker(rule, Kind.LABELS, ("yes", "no"), ("prompt", "rag"))

    def made(arm, text, count):
        return {c.id: Prediction(c.id, arm, text, 1, 1, 0.0) for c in cases[:count]}

    whole = {"prompt": made("prompt", "no", 60), "rag": made("rag", "yes", 60)}
    assert [one.arm for one in looker.look(cases, whole, of=200)] == ["prompt"]
    assert looker.look(cases, {**whole, "rag": made("rag", "yes", 59)}, of=200) == ()
