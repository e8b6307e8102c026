"""When advice counts as confirmed, refuted or undecided."""

from dataclasses import replace

import numpy as np
import pytest
from verdict_builders import LEVEL, OPEN, decided, judged, rule

from harness.experiment.advice import relation_of
from harness.records import AdviceRelation, LeftOut
from harness.scenario import StatedAdvice


def relation(verdict, approach, **changes):
    return relation_of(verdict, StatedAdvice("2026-11-25", approach, hypothesis="It wins."), rule=rule(**changes))


CLEAR = {"rag": 0.8, "lora": 0.6, "prompt": 0.5, "dummy": 0.1}
SHOTS_OPEN = {"nearest_shots": 0.8, "few_shot": 0.78, "rag": 0.5, "prompt": 0.4, "dummy": 0.1}


@pytest.mark.parametrize(
    ("values", "gaps", "advised", "expected"),
    [
        pytest.param(CLEAR, {}, "rag", "confirmed", id="the winner was advised"),
        pytest.param(CLEAR, {}, "fine_tuning", "refuted", id="another approach wins"),
        pytest.param(CLEAR, {}, "prompting", "refuted", id="the cheaper approach was advised and is beaten"),
        pytest.param(CLEAR, {}, "rag_fine_tuning", "undecided", id="the advised approach did not take part"),
        pytest.param(
            {"lora": 0.61, "prompt": 0.60, "dummy": 0.1}, {("lora", "prompt"): LEVEL}, "prompting", "confirmed",
            id="a tie that recommends the advised one",
        ),
        pytest.param(
            {"lora": 0.61, "prompt": 0.60, "dummy": 0.1}, {("lora", "prompt"): LEVEL}, "fine_tuning", "refuted",
            id="a tie: the cheaper is as good, so the dearer was not worth it",
        ),
        pytest.param(
            {"lora": 0.7, "rag": 0.6, "dummy": 0.1}, {("lora", "rag"): OPEN}, "fine_tuning", "undecided",
            id="an open lead confirms nothing",
        ),
        pytest.param(
            {"lora": 0.7, "rag": 0.6, "dummy": 0.1}, {("lora", "rag"): OPEN}, "rag", "undecided",
            id="an open deficit refutes nothing",
        ),
        pytest.param(
            {"lora": 0.7, "rag": 0.6, "prompt": 0.2, "dummy": 0.1}, {("lora", "rag"): OPEN}, "prompting", "refuted",
            id="beaten, though it is open by which of two",
        ),
        pytest.param(
            SHOTS_OPEN, {("nearest_shots", "few_shot"): OPEN}, "few_shot", "confirmed",
            id="two arms of the advised approach are open between themselves only",
        ),
        pytest.param(
            {"prompt": 0.11, "lora": 0.11, "dummy": 0.1},
            {("prompt", "dummy"): LEVEL, ("lora", "dummy"): LEVEL, ("prompt", "lora"): LEVEL},
            "fine_tuning", "refuted", id="shown to be no better than a constant answer",
        ),
        pytest.param(
            {"prompt": 0.13, "lora": 0.12, "dummy": 0.1},
            {("prompt", "dummy"): OPEN, ("lora", "dummy"): OPEN, ("prompt", "lora"): OPEN},
            "fine_tuning", "undecided", id="not shown to be better than a constant answer, nor to be no better",
        ),
    ],
)  # fmt: skip
def test_the_relation_follows_the_written_rule(values, gaps, advised, expected):
    found = relation(decided(values, gaps), advised)
    assert found.relation == expected
    assert found.reasons, "every relation says why"


def test_too_few_cases_settle_nothing_however_clear():
    found = relation(decided(CLEAR, n=20), "rag")
    assert found.relation == "undecided"
    assert found.reasons == ("There are 20 independent cases; the rule asks for 30.",)


def test_a_missed_target_refutes_only_with_the_whole_interval_below_it():
    values = {"rag": 0.8, "prompt": 0.5, "dummy": 0.1}
    assert relation(decided(values, target=0.95), "rag", target=0.95).relation == "refuted"
    assert relation(decided(values, target=0.85), "rag", target=0.85).relation == "undecided"


def test_a_comparison_that_could_not_be_computed_settles_nothing():
    verdict = decided({"rag": 0.8, "prompt": 0.5})
    nan = float("nan")
    broken = tuple(
        replace(
            one, difference=nan, low=nan, high=nan, low_equivalence=nan, high_equivalence=nan, p=nan, p_adjusted=nan
        )
        for one in verdict.comparisons
    )
    verdict = replace(verdict, comparisons=broken, kind="could_not_compare", arm=None)
    assert {relation(verdict, approach).relation for approach in ("rag", "prompting")} == {"undecided"}


def test_an_arm_that_was_left_out_is_named_with_its_reason():
    verdict = decided(CLEAR, left_out=(LeftOut("rag_lora", "there are no documents"),))
    [reason] = relation(verdict, "rag_fine_tuning").reasons
    assert "did not take part (RAG + LoRA: there are no documents)" in reason


def test_without_advice_there_is_no_relation():
    assert relation_of(decided(CLEAR), None, rule=rule()) == AdviceRelation()


@pytest.mark.parametrize(("approach", "false"), [("prompting", "refuted"), ("rag", "confirmed")])
def test_equal_arms_seldom_speak_for_the_dearer_one(approach, false):
    """Right and wrong at random, alike for both arms. That the cheaper one is as good may well be found, and is true;
    that the dearer one is worth it is false, and may be said in 5 % of runs (and two standard errors of 200 draws)."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(200):
        answers = {arm: (rng.random(60) < 0.6).astype(float) for arm in ("prompt", "rag")}
        verdict = judged(dummy=np.zeros(60), **answers)
        found.append(relation_of(verdict, StatedAdvice("2026-11-25", approach), rule=rule(resamples=999)).relation)
    assert found.count(false) / len(found) <= 0.08
