"""The classifier: labels from vectors, no language model, the same every time."""

from dataclasses import replace

import pytest
from fakes import tiny_bench, tiny_scenario

from harness.arms.classifier import STRENGTHS, ClassifierArm
from harness.errors import ArmFailed
from harness.scenario import Case, Kind

COLOURS = {"red": "rose cherry fire", "blue": "sea sky ice", "green": "grass leaf moss"}


def thing(number, label, *, id_prefix="t"):
    words = COLOURS[label].split()
    text = f"the {words[number % 3]} and the {words[(number + 1) % 3]} number {number}"
    return Case(f"{id_prefix}{number}{label}", text, label, context_id=None, group=None, line=1)


def things(numbers, **options):
    return tuple(thing(n, label, **options) for n in numbers for label in COLOURS)


@pytest.fixture
def bench(tmp_path):
    scenario = tiny_scenario(kind=Kind.LABELS, labels=tuple(COLOURS), documents=False)
    scenario = replace(scenario, cases=things(range(20, 24), id_prefix="e"), train=things(range(12)))
    return tiny_bench(scenario, folder=tmp_path, train=things(range(9)), dev=things(range(9, 12)))


def test_it_answers_with_the_right_labels_and_asks_no_model(bench):
    arm = ClassifierArm()
    recipe = arm.prepare(bench)
    answers = [request.fixed for request in arm.requests(recipe, bench.scenario.cases, bench=bench)]
    assert answers == [case.output for case in bench.scenario.cases]
    assert bench.model.jobs == []


def test_c_is_chosen_on_dev_the_default_where_they_are_equal(bench):
    (choice,) = ClassifierArm().prepare(bench).choices
    assert (choice.chosen, choice.metric, choice.n) == ("10", "accuracy", len(bench.dev))
    assert [trial.value for trial in choice.tried] == [f"{c:g}" for c in STRENGTHS]


def test_without_dev_rows_the_default_is_taken_untried(bench):
    (choice,) = ClassifierArm().prepare(replace(bench, dev=())).choices
    assert (choice.chosen, choice.n, choice.tried) == ("10", 0, ())


def test_the_recipe_is_all_that_it_needs_to_answer_again(bench):
    recipe = ClassifierArm().prepare(bench)
    first = ClassifierArm().requests(recipe, bench.scenario.cases, bench=bench)
    later = ClassifierArm().requests(recipe, bench.scenario.cases, bench=replace(bench))
    assert first == later


def test_a_case_alone_gets_what_it_gets_among_others_and_is_embedded_anew_where_asked(bench):
    arm = ClassifierArm()
    recipe = arm.prepare(bench)
    cases = bench.scenario.cases
    alone = [arm.requests(recipe, [case], bench=bench, fresh=True)[0] for case in cases]
    assert alone == arm.requests(recipe, cases, bench=bench)
    assert bench.embedder.fresh_texts == [case.input for case in cases], "the training inputs are not embedded again"
    assert arm.requests(recipe, [], bench=bench) == []


def test_it_is_fitted_once_a_bench(bench, monkeypatch):
    from sklearn.linear_model import LogisticRegression

    fits, fit = [], LogisticRegression.fit
    monkeypatch.setattr(LogisticRegression, "fit", lambda self, x, y: fits.append(self.C) or fit(self, x, y))
    recipe = ClassifierArm().prepare(bench)
    for _ in range(3):
        ClassifierArm().requests(recipe, bench.scenario.cases, bench=bench)
    assert fits == list(STRENGTHS)


def test_what_the_right_answers_are_changes_nothing(bench):
    hidden = tuple(replace(case, output="?") for case in bench.scenario.cases)
    changed = replace(bench, scenario=replace(bench.scenario, cases=hidden))
    arm = ClassifierArm()
    assert arm.prepare(bench) == arm.prepare(changed)
    recipe = arm.prepare(bench)
    ids = [request.fixed for request in arm.requests(recipe, hidden, bench=changed)]
    assert ids == [request.fixed for request in arm.requests(recipe, bench.scenario.cases, bench=bench)]


def test_one_label_in_training_is_always_answered_and_said(bench):
    only = replace(bench, train=tuple(case for case in bench.train if case.output == "red"))
    recipe = ClassifierArm().prepare(only)
    assert {r.fixed for r in ClassifierArm().requests(recipe, only.scenario.cases, bench=only)} == {"red"}
    assert "one label only" in recipe.notes[-1]


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.LABELS])
def test_where_answers_are_no_labels_it_says_so(bench, kind):
    with pytest.raises(ArmFailed, match="only answer with labels"):
        ClassifierArm().prepare(replace(bench, scenario=replace(bench.scenario, kind=kind)))


@pytest.mark.parametrize("dev", [True, False])
def test_without_an_embedder_it_fails_with_a_sentence(bench, dev):
    bare = replace(bench, embedder=None, dev=bench.dev if dev else ())
    with pytest.raises(ArmFailed, match="no embedder"):
        ClassifierArm().prepare(bare)
