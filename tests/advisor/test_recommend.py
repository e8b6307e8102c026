"""From answers to odds."""

import dataclasses

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from advisor.questionnaire import Kind, load_questionnaire
from advisor.recommend import WORLDS, odds, recommend, votes_for, worlds_for
from advisor.records import APPROACHES
from advisor.rules import load_knowledge

KNOWN = load_knowledge()


def values_of(question):
    if question.kind is Kind.INTEGER:
        return st.integers(max(question.lowest, 0), 10**7)
    return st.sampled_from(question.values)


ANSWERS = st.fixed_dictionaries({}, optional={q.key: values_of(q) for q in load_questionnaire().questions})


@given(ANSWERS)
@settings(max_examples=60)
def test_any_answers_give_odds_that_add_up_and_an_approach_without_a_veto(answers):
    found = recommend(answers)
    total = odds(answers)
    assert total.sum() == pytest.approx(1)
    assert (total >= 0).all()
    assert not found.standing(found.approach).vetoes
    assert {one.approach for one in found.standings} == set(APPROACHES)
    ranked = [one.probability for one in found.standings if not one.vetoes]
    assert ranked == sorted(ranked, reverse=True)


def test_the_same_answers_give_the_same_odds():
    answers = {"task": "classification", "classes": 12}
    assert np.array_equal(odds(answers), odds(dict(reversed(answers.items()))))


def test_nothing_known_gives_no_approach_away():
    assert odds({}).max() < 0.5


def test_unanswered_questions_are_averaged_over_not_guessed():
    """The odds without an answer are the mean of the odds with each, weighted by how usual it is."""
    base = {"task": "classification", "gap": "form"}
    worlds = worlds_for(base, KNOWN)
    usual = KNOWN.usual_values("label_quality")
    codes = worlds.codes["label_quality"]
    shares = [worlds.weights[codes == code].sum() for code in range(len(usual))]
    places = load_questionnaire().question("label_quality").values
    mean = sum(share * odds({**base, "label_quality": value}) for share, value in zip(shares, places, strict=True))
    assert odds(base) == pytest.approx(mean, abs=0.02)


def test_worlds_keep_what_is_known_and_follow_what_is_usual():
    worlds = worlds_for({"task": "facts_qa"}, KNOWN)
    assert set(worlds.codes["task"]) == {load_questionnaire().question("task").values.index("facts_qa")}
    facts = load_questionnaire().question("gap").values.index("facts")
    assert worlds.weights[worlds.codes["gap"] == facts].sum() == pytest.approx(0.75, abs=1 / WORLDS + 1e-6)


def test_an_answer_shifts_what_is_thought_of_questions_it_depends_on():
    """No documents at all speaks against missing facts, although nobody was asked about them."""
    facts = load_questionnaire().question("gap").values.index("facts")

    def share(answers):
        worlds = worlds_for(answers, KNOWN)
        return worlds.weights[worlds.codes["gap"] == facts].sum()

    assert share({"task": "agent", "corpus_tokens": 0}) < share({"task": "agent"}) / 2


def test_related_reasons_count_less_than_new_ones():
    one = {"gap": "facts"}
    both = {"gap": "facts", "base_knows_facts": False}
    weight = {vote.rule: vote.weight for vote in votes_for(both, knowledge=KNOWN) if vote.approach == "rag"}
    alone = {vote.rule: vote.weight for vote in votes_for(one, knowledge=KNOWN) if vote.approach == "rag"}
    assert weight["gap-facts"] == alone["gap-facts"] == 3
    assert weight["base-lacks-facts"] == pytest.approx(2 * KNOWN.model.echo), "same facet, same direction"


def test_the_reasons_are_the_points_that_are_counted():
    """With one more answer the log odds move by the difference of the reasons' points."""
    plain = dataclasses.replace(KNOWN, model=dataclasses.replace(KNOWN.model, surprise=0.0))
    full = {key: plain.usual_values(key)[0] for key in plain.usual_keys}
    full |= {"labelled_examples": 500, "corpus_tokens": 50_000, "eval_examples": 50, "needs_citations": False}
    full |= {"access_control": False, "fact_change_rate": "static", "model_access": "open_weights"}
    before, after = {**full, "vocabulary": "general"}, {**full, "vocabulary": "specialised"}
    points = {approach: 0.0 for approach in APPROACHES}
    for sign, answers in ((1, after), (-1, before)):
        for vote in votes_for(answers, knowledge=plain):
            points[vote.approach] += sign * vote.weight
    moved = np.log(odds(after, knowledge=plain) / odds(before, knowledge=plain)) / plain.model.nats_per_point
    shifted = np.array([points[approach] for approach in APPROACHES])
    assert moved - moved[0] == pytest.approx(shifted - shifted[0], abs=1e-6)


def test_experience_moves_the_odds():
    answers = {"task": "classification", "gap": "form"}
    assert odds(answers, shifts={"few_shot": 1.5})[1] > odds(answers)[1]


def test_more_examples_never_speak_against_tuning():
    few = [odds({"task": "rewriting", "gap": "form", "labelled_examples": n})[3] for n in (5, 20, 80, 400, 5_000)]
    assert few == sorted(few)
