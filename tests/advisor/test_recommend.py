"""From answers to odds."""

import dataclasses

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from advisor.questionnaire import Condition, Kind, Requirement, load_questionnaire
from advisor.recommend import UNUSUAL, WORLDS, best_approach, odds, recommend, votes_for, worlds_for
from advisor.records import APPROACHES
from advisor.rules import Rule, Usual, VetoRule, band, load_knowledge

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
    assert found.approach == best_approach(answers, knowledge=KNOWN)


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


ALWAYS = Condition(())
PLAIN = dataclasses.replace(KNOWN.model, surprise=0.0, start=dict.fromkeys(APPROACHES, 0.0))


def knowing(*rules, vetoes=(), usual=KNOWN.usual):
    """Knowledge of these rules alone, in which every approach begins with no points."""
    return dataclasses.replace(KNOWN, rules=rules, vetoes=tuple(vetoes), usual=tuple(usual), model=PLAIN)


def rule(name, weights, *, when=ALWAYS, facet="facet"):
    return Rule(name, facet, when, {**dict.fromkeys(APPROACHES, 0.0), **weights}, f"Because of {name}.", ("S1",), "A")


def points(known, answers, **options):
    """Points of each approach ahead of prompting, read back from the odds."""
    found = np.log(odds(answers, knowledge=known, **options)) / PLAIN.nats_per_point
    return dict(zip(APPROACHES, found - found[0], strict=True))


@pytest.mark.parametrize("vetoed", range(5))
def test_the_runner_up_is_the_next_that_no_veto_stands_against(vetoed):
    ladder = knowing(
        rule("ladder", {approach: float(place) for place, approach in enumerate(APPROACHES[:4])}),
        vetoes=[VetoRule("no", ALWAYS, APPROACHES[4 - vetoed : 4], "Because it is forbidden.", ("S2",))]
        if vetoed
        else [],
    )
    found = recommend({}, knowledge=ladder)
    out = APPROACHES[4 - vetoed : 4]
    best_first = ("fine_tuning", "rag", "few_shot", "prompting", "rag_fine_tuning")
    left = [approach for approach in best_first if approach not in out]
    assert (found.approach, found.runner_up) == (left[0], left[1] if len(left) > 1 else None)
    assert [one.approach for one in found.standings] == [*left, *out]


def test_standings_show_the_odds_of_the_same_knowledge_and_experience_and_the_words_of_the_rules():
    known = knowing(
        rule("for", {"rag": 2.0, "few_shot": 1.0}),
        vetoes=[VetoRule("no", ALWAYS, ("fine_tuning",), "Because it is forbidden.", ("S2",))],
    )
    found = recommend({}, knowledge=known, shifts={"prompting": 1.5})
    shown = {one.approach: one for one in found.standings}
    assert best_approach({}, knowledge=known) == "rag"
    assert best_approach({}, knowledge=knowing(rule("for", {"few_shot": 9.0}))) == "few_shot"
    assert (
        best_approach({}, knowledge=known, shifts={"prompting": 2.5})
        == "prompting"
        != best_approach({}, knowledge=KNOWN)
    )
    for approach, chance in zip(APPROACHES, odds({}, knowledge=known, shifts={"prompting": 1.5}), strict=True):
        assert shown[approach].probability == chance
        assert shown[approach].band == ("ruled out" if approach == "fine_tuning" else band(known.model, chance))
    (vote,), (veto,) = shown["rag"].votes, shown["fine_tuning"].vetoes
    assert (vote.rule, vote.weight, vote.reason, vote.sources, vote.grade) == (
        "for",
        2.0,
        "Because of for.",
        ("S1",),
        "A",
    )
    assert (veto.rule, veto.reason, veto.sources) == ("no", "Because it is forbidden.", ("S2",))


def test_experience_counts_in_points_and_only_for_the_approaches_that_it_names():
    assert points(knowing(), {}, shifts={"few_shot": 1.5, "rag": -0.5}) == pytest.approx(
        {"prompting": 0, "few_shot": 1.5, "rag": -0.5, "fine_tuning": 0, "rag_fine_tuning": 0}
    )


def test_a_weak_reason_for_and_one_against_are_no_echo_of_each_other():
    known = knowing(rule("for", {"rag": 0.5}), rule("against", {"rag": -1.0}), rule("further", {"rag": 0.25}))
    assert points(known, {})["rag"] == pytest.approx(0.5 - 1.0 + KNOWN.model.echo * 0.25)
    assert {vote.rule: vote.weight for vote in votes_for({}, knowledge=known)} == {
        "for": 0.5, "against": -1.0, "further": pytest.approx(KNOWN.model.echo * 0.25)
    }  # fmt: skip


@pytest.mark.parametrize(("least", "below"), [(None, 1000), (1000, None), (1000, 5000)])
@pytest.mark.parametrize("tokens", [0, 999, 1000, 4999, 5000, 10**10])
def test_a_rule_counts_in_the_odds_exactly_where_its_condition_holds(least, below, tokens):
    when = Condition((Requirement("corpus_tokens", least=least, below=below),))
    found = points(knowing(rule("size", {"rag": 1.0}, when=when)), {"corpus_tokens": tokens})["rag"]
    assert found == pytest.approx(1.0 if when.verdict({"corpus_tokens": tokens}) else 0.0)


@pytest.mark.parametrize(("classes", "examples", "each"), [(2, 101, 50), (3, 101, 33), (10, 5, 0)])
def test_worlds_know_the_labels_of_each_class(classes, examples, each):
    found = worlds_for({"classes": classes, "labelled_examples": examples}, KNOWN)
    assert set(found.codes["labels_per_class"].tolist()) == {each}


@pytest.mark.parametrize("classes", [0, 1])
def test_without_classes_no_number_of_labels_a_class_is_small(classes):
    found = worlds_for({"classes": classes, "labelled_examples": 5}, KNOWN)
    assert found.codes["labels_per_class"].min() > 10**9


def usual(key, shares, **when):
    requirements = tuple(Requirement(name, one_of=(value,)) for name, value in when.items())
    return Usual(key, Condition(requirements), tuple(shares), tuple(shares.values()))


SMALL_WORLD = (
    usual("gap", {"facts": 0.5, "form": 0.5}),
    usual("corpus_tokens", {1_000: 0.1, 100_000: 0.9}, gap="facts"),
    usual("corpus_tokens", {1_000: 0.6, 100_000: 0.4}),
    usual("needs_citations", {True: 0.75, False: 0.25}, gap="facts"),
    usual("needs_citations", {False: 1.0}),
    *(usual(key, {0: 1.0}) for key in ("classes", "labelled_examples")),
)


@pytest.mark.parametrize(
    ("answers", "facts", "form"),
    [
        ({}, 0.5, 0.5),
        ({"corpus_tokens": 100_000}, 0.9, 0.4),
        ({"corpus_tokens": 2_000}, 0.1, 0.6),
        ({"corpus_tokens": 20_000}, 0.9, 0.4),  # nearer to 100,000 as a ratio
        ({"needs_citations": False}, 0.25, 1.0),
        ({"needs_citations": True}, 0.75, UNUSUAL),
        ({"corpus_tokens": 2_000, "needs_citations": False}, 0.1 * 0.25, 0.6 * 1.0),
    ],
)
def test_what_is_known_weighs_the_worlds_by_bayes_rule(answers, facts, form):
    found = worlds_for(answers, knowing(usual=SMALL_WORLD))
    place = load_questionnaire().question("gap").values.index("facts")
    assert found.weights[found.codes["gap"] == place].sum() == pytest.approx(facts / (facts + form))
