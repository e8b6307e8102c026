"""Answers of the questionnaire held against what a trial found."""

from dataclasses import replace

import pytest
from verdict_builders import LEVEL, OPEN, cost, decided, evidence

from harness.experiment.contradictions import FACTS_METRIC, Trial, contradictions
from harness.records import StoredScenario
from harness.scenario import Inference, StatedAdvice

STORED = StoredScenario("s", "short_answer", "Answer.", (), (), (), 100, 80, 20, 50, 16, "user", 0)


def trial(values, facts=None, gaps=None, *, fact_gaps=None, stored=STORED, costs=()):
    scores, pairs = evidence(facts or {}, fact_gaps)
    scores = tuple(replace(one, metric=FACTS_METRIC) for one in scores)
    return Trial(stored, decided(values, gaps), tuple(pairs), scores, tuple(costs))


def found(answers, made, **sources):
    advice = StatedAdvice("2026-11-25", "rag", answers=tuple(answers.items()), sources=tuple(sources.items()))
    return {one.key: one.found for one in contradictions(advice, made)}


READS = {"rag": 0.6, "prompt": 0.2, "dummy": 0.0}


def test_style_was_said_and_facts_are_missing():
    said = found({"gap": "form"}, trial(READS, {"rag": 0.31, "prompt": 0.09}))
    assert said == {
        "gap": "The misses are missing facts: an accepted answer stands in 31 % of the answers of RAG and in 9 % of "
        "those of the plain prompt."
    }


def test_a_model_said_to_know_the_facts_does_not():
    assert "base_knows_facts" in found({"base_knows_facts": True}, trial(READS, {"rag": 0.31, "prompt": 0.09}))
    assert found({"base_knows_facts": False}, trial(READS, {"rag": 0.31, "prompt": 0.09})) == {}


def test_facts_were_said_and_the_misses_are_form():
    made = trial(
        {"lora": 0.7, "rag": 0.3, "prompt": 0.3, "dummy": 0.0},
        {"rag": 0.30, "prompt": 0.30, "lora": 0.3},
        fact_gaps={("rag", "prompt"): LEVEL},
    )
    assert found({"gap": "facts"}, made) == {
        "gap": "The misses are in form: documents add no right facts beyond the margin, while LoRA is 40 points "
        "ahead of the plain prompt."
    }


@pytest.mark.parametrize("gap", ["facts", "both"])
def test_an_answer_that_the_trial_bears_out_is_not_contradicted(gap):
    assert found({"gap": gap}, trial(READS, {"rag": 0.31, "prompt": 0.09})) == {}


def test_a_lead_in_facts_that_may_be_chance_contradicts_nothing():
    made = trial(READS, {"rag": 0.31, "prompt": 0.20}, fact_gaps={("rag", "prompt"): (0.15, 0.3)})
    assert found({"gap": "form"}, made) == {}


def test_without_documents_nothing_is_said_of_facts():
    made = trial(READS, {"rag": 0.31, "prompt": 0.09}, stored=replace(STORED, documents=0))
    assert found({"gap": "form"}, made) == {}


@pytest.mark.parametrize(("said", "contradicted"), [(100, False), (149, False), (151, True), (60, True), (0, True)])
def test_counts_contradict_beyond_half_as_many_again(said, contradicted):
    assert ("labelled_examples" in found({"labelled_examples": said}, trial(READS))) is contradicted


def test_counts_that_were_measured_are_not_held_against_themselves():
    assert found({"labelled_examples": 9000}, trial(READS), labelled_examples="data") == {}


@pytest.mark.parametrize(("said", "side"), [("labelled_examples", "train rows"), ("eval_examples", "eval rows")])
def test_counts_that_a_limit_on_the_command_line_cut_contradict_nothing(said, side):
    cut = replace(STORED, inferred=(Inference(side, "100 of 9000", "--limit 100", "leave it out"),))
    assert said in found({said: 9000}, trial(READS))
    assert found({said: 9000}, trial(READS, stored=cut)) == {}


def test_where_nothing_is_recommended_the_advised_arm_is_held_against_the_limit():
    slow = replace(cost("rag", 500), latency_p95=0.9)
    undecided = trial({"rag": 0.6, "prompt": 0.55, "dummy": 0.0}, gaps={("rag", "prompt"): OPEN}, costs=[slow])
    assert undecided.verdict.arm is None
    assert "latency_ms" in found({"latency_ms": 500}, undecided)


def test_a_limit_on_latency_is_held_against_the_slowest_twentieth():
    slow = replace(cost("rag", 500), latency_p95=0.9)
    assert found({"latency_ms": 500}, trial(READS, costs=[slow])) == {
        "latency_ms": "One in twenty requests of RAG took 900 ms or more in this trial with this model; the limit is "
        "500 ms."
    }
    assert found({"latency_ms": 1000}, trial(READS, costs=[slow])) == {}


def test_without_documents_nobody_can_say_that_the_misses_are_in_form():
    values = {"lora": 0.7, "rag": 0.3, "prompt": 0.3, "dummy": 0.0}
    facts, gaps = {"rag": 0.30, "prompt": 0.30, "lora": 0.3}, {("rag", "prompt"): LEVEL}
    assert "gap" in found({"gap": "facts"}, trial(values, facts, fact_gaps=gaps))
    bare = replace(STORED, documents=0)
    assert found({"gap": "facts"}, trial(values, facts, fact_gaps=gaps, stored=bare)) == {}
    assert found({"gap": "form"}, trial(READS, {"rag": 0.31, "prompt": 0.09}, stored=bare)) == {}
