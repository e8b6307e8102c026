"""What would change the advice."""

from dataclasses import replace

import pytest

from advisor.recommend import odds, recommend
from advisor.records import APPROACHES
from advisor.rules import load_knowledge
from advisor.sensitivity import could_flip, open_questions, reversals, sensitivity

CASES = [
    {"task": "classification", "gap": "form", "classes": 77, "labelled_examples": 231},
    {"task": "facts_qa", "gap": "facts", "corpus_tokens": 300_000},
    {"task": "generation"},
    {},
]


@pytest.mark.parametrize("values", CASES)
def test_every_flip_does_change_the_advice_as_said(values):
    found = recommend(values)
    for flip in sensitivity(values, found).flips:
        assert flip.was == values.get(flip.key)
        assert flip.to != found.approach
        assert recommend({**values, flip.key: flip.now}).approach == flip.to


def test_a_number_flips_at_the_place_where_a_rule_begins():
    values = CASES[0]
    [flip] = [one for one in sensitivity(values, recommend(values)).flips if one.key == "labelled_examples"]
    assert (flip.now, flip.to) == (770, "fine_tuning"), "ten a class"


@pytest.mark.parametrize("values", CASES)
def test_a_question_that_could_flip_the_advice_says_so(values):
    found = recommend(values)
    for one in sensitivity(values, found).open_questions:
        then = {recommend({**values, one.key: value}).approach for value in load_knowledge().usual_values(one.key)}
        assert one.could_flip == (then != {found.approach}), one.key
        assert could_flip(values, one.key, found.approach) == one.could_flip


def test_open_questions_come_by_information_and_leave_out_what_is_known_or_makes_no_sense():
    found = open_questions(CASES[0])
    gains = [one.gain for one in found]
    assert gains == sorted(gains, reverse=True)
    assert not {one.key for one in found} & set(CASES[0])
    assert all(one.gain >= 0 for one in found)
    assert open_questions({})[0].key == "gap", "the strongest signal there is"


def test_the_rank_reversal_weight_is_where_the_two_draw_level():
    values = CASES[0]
    found = recommend(values)
    first = sensitivity(values, found).reversals[0]
    knowledge = load_knowledge()
    level = {found.approach: first.needed - first.weight}
    shifted = dict(zip(APPROACHES, odds(values, shifts=level, knowledge=knowledge), strict=True))
    assert shifted[found.approach] == pytest.approx(shifted[found.runner_up], abs=1e-3)
    assert first.needed < first.weight


def test_without_a_runner_up_no_reason_can_change_places():
    values = {"task": "facts_qa", "gap": "facts", "corpus_tokens": 300_000}
    found = recommend(values)
    assert reversals(values, found)
    assert reversals(values, replace(found, runner_up=None)) == ()
