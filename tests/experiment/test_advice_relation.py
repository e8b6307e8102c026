"""When advice counts as confirmed, refuted or undecided."""

from dataclasses import replace
from itertools import combinations

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


TIED = {("lora", "prompt"): LEVEL}


@pytest.mark.parametrize(
    ("values", "gaps", "advised", "reasons"),
    [
        (
            CLEAR, {}, "rag",
            ["The verdict recommends RAG, of the advised approach: it wins, 20 points ahead of LoRA and 30 points "
             "ahead of the plain prompt.",
             "Not tried, and so not ruled out: few-shot prompting, retrieval with fine-tuning."],
        ),
        (
            CLEAR, {}, "fine_tuning",
            ["RAG beats LoRA by 20 points, beyond chance.",
             "The verdict recommends RAG, of another approach: it wins."],
        ),
        (
            {"lora": 0.61, "prompt": 0.60, "dummy": 0.1}, TIED, "fine_tuning",
            ["The verdict recommends the plain prompt, of another approach: it is the cheapest in a tie with LoRA, "
             "where nothing is better by more than 5 points."],
        ),
        (
            SHOTS_OPEN, {("nearest_shots", "few_shot"): OPEN}, "few_shot",
            ["Nearest shots beats every other approach, beyond chance: RAG by 30 points and the plain prompt by 40 "
             "points.",
             "Not tried, and so not ruled out: fine-tuning, retrieval with fine-tuning."],
        ),
        (
            {"few_shot": 0.12, "nearest_shots": 0.11, "dummy": 0.1},
            {(a, b): LEVEL for a, b in combinations(("few_shot", "nearest_shots", "dummy"), 2)}, "few_shot",
            ["Few-shot and nearest shots are shown to be at most 5 points better than always giving the commonest "
             "answer."],
        ),
    ],
)  # fmt: skip
def test_reasons_are_sentences_with_numbers(values, gaps, advised, reasons):
    assert list(relation(decided(values, gaps), advised).reasons) == reasons


@pytest.mark.parametrize(
    ("documents", "advised", "expected"),
    [(True, "rag", "confirmed"), (False, "rag", "undecided"), (False, "few_shot", "confirmed")],
)
def test_without_documents_a_retrieval_arm_shows_examples_and_counts_as_few_shot(documents, advised, expected):
    stated = StatedAdvice("2026-11-25", advised, hypothesis="It wins.")
    made = relation_of(decided(CLEAR), stated, rule=rule(), documents=documents)
    assert made.relation == expected
    untried = [reason for reason in made.reasons if reason.startswith("Not tried")]
    assert not untried or ("retrieval (RAG)" in untried[0]) is not documents


def test_advice_that_was_tried_against_nothing_else_is_not_confirmed():
    alone = decided({"nearest_shots": 0.8, "few_shot": 0.6, "dummy": 0.1})
    assert alone.arm == "nearest_shots"
    made = relation(alone, "few_shot")
    assert (made.relation, made.reasons) == ("undecided", ("There was no arm of another approach to compare with.",))


def test_a_missed_target_is_given_with_the_interval_that_lies_below_it():
    reasons = relation(decided({"rag": 0.8, "prompt": 0.5, "dummy": 0.1}, target=0.95), "rag", target=0.95).reasons
    assert reasons == ("The target of 95 % lies above the whole interval of RAG (88 %).",)


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


def test_without_a_rival_approach_nothing_is_confirmed():
    verdict = decided({"nearest_shots": 0.8, "few_shot": 0.5, "dummy": 0.1})
    assert verdict.arm == "nearest_shots"
    found = relation(verdict, "few_shot")
    assert found.relation == "undecided"
    assert "no arm of another approach" in found.reasons[0]


def test_retrieval_arms_without_documents_put_no_retrieval_on_trial():
    verdict = decided({"rag": 0.8, "prompt": 0.5, "dummy": 0.1})

    def found(approach):
        return relation_of(verdict, StatedAdvice("2026-11-25", approach), rule=rule(), documents=False).relation

    assert (found("rag"), found("few_shot"), found("prompting")) == ("undecided", "confirmed", "refuted")
