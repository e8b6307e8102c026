"""The plan in words, before anything is run."""

import io
from dataclasses import replace

import pytest
from fakes import prepared, tiny_scenario, write_scenario_files
from rich.console import Console

from harness.cli.show import plan_sentences, show_inferred, show_plan
from harness.experiment.options import RunOptions
from harness.experiment.plan import ExperimentPlan
from harness.records import LeftOut
from harness.scenario import Inference


@pytest.fixture
def plan(tmp_path, own_cache):
    return prepared(write_scenario_files(tmp_path / "s", tiny_scenario(cases=14)), options=RunOptions()).plan


def printed(show, plan):
    out = Console(file=io.StringIO(), width=160, color_system=None)
    show(out, plan)
    return out.file.getvalue()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"removed": 2}, "(2 left out: they stand in the eval set too)"),
        ({"detectable": 0.12, "groups": None}, "can show differences of about 12 points or more"),
        ({"detectable": 0.12, "groups": 7}, "The cases come in 7 groups, and the statistics count groups"),
        ({"detectable": None}, "14 cases are too few to show any difference"),
        ({"cases_for_gap": 1014}, "To settle a gap of 5 points bring about 1,000 cases more."),
    ],
)
def test_what_the_eval_set_can_show_is_said(plan, changes, said):
    assert any(said in line for line in plan_sentences(replace(plan, **changes)))


def test_enough_cases_ask_for_no_more(plan):
    for enough in (None, 14, 5):
        assert "bring about" not in " ".join(plan_sentences(replace(plan, cases_for_gap=enough)))


def test_the_rule_is_given_with_its_target(plan):
    with_target = replace(plan, rule=replace(plan.rule, target=0.8))
    assert plan_sentences(with_target)[-1].endswith("at least 5 cases, target 80.")
    assert plan_sentences(plan)[-1].endswith("at least 5 cases.")


def test_arms_left_out_and_experiments_stand_in_the_table_with_their_reasons(plan):
    shown = replace(
        plan,
        left_out=(LeftOut("lora", "no training examples"),),
        experiments=(ExperimentPlan("form", 2.0, "answers held"), ExperimentPlan("harm", 0.0, "", "no tuned arm")),
    )
    said = printed(show_plan, shown)
    assert "left out: no training examples" in said
    assert "experiment: answers held" in said
    assert "cannot be run: no tuned arm" in said


def test_what_was_settled_and_warned_of_is_shown_and_a_long_list_is_cut(plan):
    found = Inference("kind", "labels", "there are 2 answers", "kind = ...")
    said = printed(show_inferred, replace(plan, inferred=(found,), warnings=tuple(f"odd {n}" for n in range(15))))
    assert "Settled from the data:" in said
    assert "because there are 2 answers; to change it: kind = ..." in said
    assert said.count("warning: odd") == 12
    assert "... and 3 more warnings (bakeoff check lists them)." in said
    few = printed(show_inferred, replace(plan, inferred=(), warnings=("odd",)))
    assert "Settled" not in few
    assert "more warnings" not in few
    assert printed(show_inferred, replace(plan, inferred=(), warnings=())) == ""
