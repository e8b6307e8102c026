"""What the rule's error rate does not cover stands beside the verdict."""

import numpy as np
import pytest
from fakes import fake_run, tiny_scenario, write_scenario_files

from harness import api
from harness.experiment.early import Looker
from harness.experiment.score import largest_group
from harness.records import Prediction
from harness.scenario import Case, DecisionRule, Kind
from harness.scenario_file.read import Overrides
from harness.stats.paired import mcnemar_exact


@pytest.fixture
def path(tmp_path):
    return write_scenario_files(tmp_path / "scenario", tiny_scenario(cases=12, train=20))


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (1, "LoRA was trained from one seed: intervals and p values allow for the choice of cases"),
        (2, "LoRA was trained from two seeds, too few to know the luck of training"),
        (3, None),
    ],
)
def test_the_luck_of_training_is_named_unless_three_seeds_allow_for_it(path, tmp_path, seeds, said):
    finished = fake_run(path, tmp_path / "run", overrides=Overrides(arms=("prompt", "lora"), seeds=seeds))
    assert [one[: len(said or "")] for one in finished.verdict.cautions] == ([said] if said else [])
    api.report(tmp_path / "run")
    text = (tmp_path / "run" / "report.md").read_text()
    assert ("trained from one seed" in text) == (seeds == 1)
    assert ("Tuned arms were trained with several seeds (LoRA" in text) == (seeds > 1)


def test_a_run_without_tuned_arms_needs_no_such_word(path, tmp_path):
    assert fake_run(path, tmp_path / "run", overrides=Overrides(arms=("prompt", "rag"))).verdict.cautions == ()


def test_where_arms_were_stopped_nothing_is_said_of_other_metrics(tmp_path):
    path = write_scenario_files(tmp_path / "s", tiny_scenario(cases=120, train=20))
    whole = fake_run(path, tmp_path / "whole", overrides=Overrides(arms=("prompt", "rag")), remember=False)
    assert whole.verdict.under_other_metrics
    asked = Overrides(arms=("prompt", "rag"), stop_early=True)
    cut = fake_run(path, tmp_path / "cut", overrides=asked, remember=False)
    assert cut.verdict.stopped
    assert cut.verdict.under_other_metrics == ()
    api.report(tmp_path / "cut")
    assert "What the same rule would say on other metrics is left open" in (tmp_path / "cut" / "report.md").read_text()


def test_bets_are_on_one_scale_from_the_first_look_on_where_groups_come_later():
    cases = [Case(str(n), "x", "yes", group=None if n < 40 else f"g{n // 4}") for n in range(80)]
    looker = Looker(DecisionRule("accuracy", 0.05), Kind.LABELS, ("yes", "no"), ("prompt", "rag"), largest_group(cases))
    made = {
        arm: {c.id: Prediction(c.id, arm, text, 1, 1, 0.0) for c in cases[:40]}
        for arm, text in (("prompt", "no"), ("rag", "yes"))
    }
    grouped = looker.look(cases[:40], made, of=80)
    plain = Looker(looker.rule, looker.kind, looker.labels, looker.arms).look(cases[:40], made, of=80)
    assert largest_group(cases) == 4
    assert [one.arm for one in plain] == ["prompt"]
    assert not grouped or (np.isfinite(grouped[0].e_value) and grouped[0].e_value < plain[0].e_value)


def test_three_looks_fool_about_two_to_three_times_as_often_as_one():
    rng = np.random.default_rng(7)
    trials, sizes = 1_500, (60, 120, 240)
    first = later = 0
    for _ in range(trials):
        differences = rng.integers(0, 2, sizes[-1]) - rng.integers(0, 2, sizes[-1])
        called = []
        for n in sizes:
            seen = differences[:n]
            p = mcnemar_exact(int((seen > 0).sum()), int((seen < 0).sum()))
            called.append(p < 0.05 and abs(seen.mean()) >= 0.05)
        first, later = first + called[0], later + any(called)
    assert first / trials < 0.05
    assert 1.8 < later / first < 3.5
