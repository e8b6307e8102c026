"""Layers, kinds of tuning, ladder, risks, readiness."""

import pytest

from advisor import guidance
from advisor.recommend import recommend
from advisor.records import APPROACHES


@pytest.mark.parametrize("approach", APPROACHES)
def test_every_approach_has_layers_a_ladder_and_risks(approach):
    layers = {layer.name: layer.use for layer in guidance.layers({}, approach)}
    assert list(layers) == ["Instructions", "Examples in the prompt", "Retrieval", "Tuning", "Validation"]
    assert layers["Instructions"] == "now"
    assert (layers["Retrieval"] == "now") == ("rag" in approach)
    assert (layers["Tuning"] == "now") == ("tuning" in approach)
    assert "Base-model dependency" in [risk.name for risk in guidance.risks({}, approach)]
    assert guidance.LADDERS[approach][-1] == approach


def test_a_tuned_model_is_watched_for_overfitting_forgetting_and_stale_facts():
    names = [risk.name for risk in guidance.risks({"gap": "facts"}, "fine_tuning")]
    assert {"Overfitting", "Forgetting", "Stale facts", "Label quality", "Upkeep"} <= set(names)


def test_answers_that_machines_read_are_validated_now():
    validation = guidance.layers({"consistency": "strict"}, "prompting")[-1]
    assert (validation.name, validation.use) == ("Validation", "now")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"task": "classification", "gap": "form", "classes": 5, "labelled_examples": 5000}, "small encoder"),
        ({"task": "facts_qa", "gap": "facts", "corpus_tokens": 900_000}, "tune the embedder"),
        ({"task": "rewriting", "gap": "form", "labelled_examples": 900}, "LoRA, not full tuning"),
        ({"task": "rewriting", "gap": "form", "labelled_examples": 90_000}, "full tuning may gain"),
        ({"task": "rewriting", "model_access": "api_no_tuning"}, "No tuning of any kind"),
    ],
)
def test_the_kind_of_tuning_follows_the_case(values, said):
    assert said in guidance.tuning(values, recommend(values))


def test_the_ladder_goes_one_rung_beyond_the_advice_where_that_is_open():
    few = {"task": "classification", "gap": "form", "classes": 77, "labelled_examples": 154}
    found = recommend(few)
    assert [step.approach for step in guidance.ladder(few, found)] == ["prompting", "few_shot", "fine_tuning"]
    closed = {**few, "model_access": "api_no_tuning"}
    assert [step.approach for step in guidance.ladder(closed, recommend(closed))] == ["prompting", "few_shot"]


@pytest.mark.parametrize(
    ("n", "state"), [(None, "unknown"), (0, "missing"), (19, "weak"), (199, "weak"), (200, "ready")]
)
def test_an_eval_set_is_ready_from_two_hundred_cases_on(n, state):
    values = {} if n is None else {"eval_examples": n}
    [item] = [one for one in guidance.readiness(values, "prompting") if one.item == "Eval set"]
    assert item.state == state
    assert bool(item.todo) == (state != "ready")
