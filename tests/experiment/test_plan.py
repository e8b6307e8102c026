"""What will be done, said before anything costs anything."""

from dataclasses import replace

import msgspec
import pytest
from fakes import tiny_scenario

from harness.experiment.plan import Plan, correction, make_plan, remember_duration
from harness.experiment.setup import lineup
from harness.models.bundled import cache_folder

pytestmark = pytest.mark.usefixtures("own_cache")


def plan_for(scenario, *, quick=False, weights_mb=270.0):
    return make_plan(
        scenario,
        lineup(scenario),
        quick=quick,
        weights_mb=weights_mb,
        machine_key="here",
        model="fake",
        embedder="fake-embedder",
    )


def minutes(plan):
    return {arm.arm: arm.minutes for arm in plan.arms}


def with_metric(scenario, metric):
    return replace(scenario, rule=replace(scenario.rule, metric=metric))


def test_the_plan_counts_what_there_is():
    scenario = tiny_scenario(cases=50, train=100)
    plan = plan_for(scenario)
    assert (plan.cases, plan.train, plan.dev, plan.documents, plan.removed) == (50, 80, 20, 150, 0)
    assert [arm.arm for arm in plan.arms] == list(lineup(scenario).arms)
    assert (plan.rule, plan.rule_digest) == (scenario.rule, scenario.rule.digest)
    assert (plan.model, plan.embedder, plan.instruction) == ("fake", "fake-embedder", scenario.instruction)


def test_arms_that_are_left_out_stand_in_the_plan_with_the_reason():
    plan = plan_for(tiny_scenario(documents=False))
    assert [left.arm for left in plan.left_out] == ["rag_lora"]


@pytest.mark.parametrize(
    ("metric", "assumption"),
    [("exact_match", "right or wrong on 25% of the cases"), ("token_f1", "standard deviation of 35 points")],
)
def test_the_smallest_difference_is_said_with_what_it_assumes(metric, assumption):
    plan = plan_for(with_metric(tiny_scenario(cases=100), metric))
    assert assumption in plan.assumption
    assert 0.05 < plan.detectable < 0.25
    assert plan.cases_for_gap > 100


@pytest.mark.parametrize("metric", ["exact_match", "token_f1"])
def test_more_cases_show_smaller_differences(metric):
    few, many = (plan_for(with_metric(tiny_scenario(cases=n), metric)) for n in (60, 400))
    assert many.detectable < few.detectable
    assert many.cases_for_gap == few.cases_for_gap


def test_with_enough_cases_for_the_gap_the_gap_can_be_shown():
    needed = plan_for(tiny_scenario(cases=50)).cases_for_gap
    assert plan_for(tiny_scenario(cases=needed, train=10)).detectable <= 0.051


@pytest.mark.parametrize("cases", [1, 2, 3])
def test_a_handful_of_cases_still_gets_a_plan(cases):
    plan = plan_for(tiny_scenario(cases=cases, train=0, documents=False))
    assert plan.detectable is None or plan.detectable > 0.3
    assert plan.minutes > 0


def test_the_control_costs_nothing_and_the_total_is_the_sum_and_half_a_minute():
    plan = plan_for(tiny_scenario(cases=50, train=100))
    assert minutes(plan)["dummy"] == 0
    seeds = sum(one.minutes for one in plan.experiments)
    assert [one.name for one in plan.experiments] == ["seeds"]
    assert plan.minutes == pytest.approx(sum(minutes(plan).values()) + seeds + 0.5)


def test_more_cases_larger_weights_and_thorough_runs_take_longer():
    scenario = tiny_scenario(cases=50, train=100)
    base = plan_for(scenario)
    assert plan_for(tiny_scenario(cases=500, train=100)).minutes > base.minutes
    assert plan_for(scenario, weights_mb=2700).minutes > 5 * base.minutes
    assert plan_for(scenario, quick=True).minutes < base.minutes
    assert plan_for(scenario, weights_mb=2700).memory_mb > base.memory_mb


def test_an_unknown_machine_is_not_corrected():
    assert correction("here") == 1.0


def test_a_finished_run_moves_the_next_plan_half_way_to_what_was_seen():
    scenario = tiny_scenario(cases=50, train=100)
    before = plan_for(scenario)
    remember_duration("here", planned_minutes=10, took_minutes=30)
    assert correction("here") == 2.0
    assert correction("elsewhere") == 1.0
    assert plan_for(scenario).minutes - 0.5 == pytest.approx(2 * (before.minutes - 0.5), rel=0.1)


def test_after_many_runs_the_plan_is_right():
    for _ in range(12):
        remember_duration("here", planned_minutes=10 * correction("here"), took_minutes=30)
    assert correction("here") == pytest.approx(3.0, rel=0.01)


@pytest.mark.parametrize(("took", "limit"), [(1e9, 10.0), (0.0, 0.1)])
def test_the_correction_stays_within_bounds(took, limit):
    for _ in range(12):
        remember_duration("here", planned_minutes=1, took_minutes=took)
    assert correction("here") == limit


@pytest.mark.parametrize("content", [b"", b"{", b'{"here": 3}', b"\xff"])
def test_a_damaged_memory_is_forgotten(content):
    cache_folder().mkdir(parents=True)
    (cache_folder() / "durations.json").write_bytes(content)
    assert correction("here") == 1.0
    remember_duration("here", planned_minutes=1, took_minutes=3)
    assert correction("here") == 2.0


def test_a_plan_can_be_written_and_read_back():
    plan = plan_for(tiny_scenario())
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan
