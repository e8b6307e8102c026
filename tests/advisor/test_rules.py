"""The judgment as data: every rule is complete, sourced and reachable."""

import pytest

from advisor.questionnaire import load_questionnaire
from advisor.records import APPROACHES, ARMS_OF
from advisor.rules import band, condition, load_knowledge, with_derived

KNOWN = load_knowledge()

EVIDENCE = {f"A{n}" for n in range(1, 17)}
OTHERS = {
    "V-OPENAI", "V-OPENAI-FT", "V-OPENAI-STATUS", "V-AZURE", "V-AWS", "V-AMAZON", "V-GOOGLE", "V-ANTHROPIC",
    "V-COHERE", "V-MANNING", "V-HUSAIN", "V-LSEG", "V-MARSH", "C-TABLE", "D-COST", "E-STATS",
}  # fmt: skip
"""The source list of the evidence base: published comparisons, vendor guides, its own parts."""


def test_the_sources_are_the_evidence_bases():
    assert set(KNOWN.sources) == EVIDENCE | OTHERS
    assert all(len(text) > 20 for text in KNOWN.sources.values())


@pytest.mark.parametrize("rule", [*KNOWN.rules, *KNOWN.vetoes], ids=lambda rule: rule.id)
def test_every_rule_has_sources_and_a_reason_in_one_sentence(rule):
    assert rule.sources
    assert set(rule.sources) <= EVIDENCE | OTHERS
    assert rule.reason.endswith(".")
    assert 20 < len(rule.reason) < 220


@pytest.mark.parametrize("rule", KNOWN.rules, ids=lambda rule: rule.id)
def test_every_rule_weighs_all_approaches_and_says_something(rule):
    assert set(rule.weights) == set(APPROACHES)
    assert any(rule.weights.values())
    assert rule.grade in KNOWN.model.grades


def test_reasons_graded_a_rest_on_measured_results():
    for rule in KNOWN.rules:
        if rule.grade == "A":
            assert set(rule.sources) & EVIDENCE, rule.id


def test_ids_are_unique():
    ids = [rule.id for rule in (*KNOWN.rules, *KNOWN.vetoes)]
    assert len(ids) == len(set(ids))


def test_what_is_usual_is_known_for_every_question_and_ends_without_a_condition():
    assert set(KNOWN.usual_keys) == set(load_questionnaire().keys)
    for key in KNOWN.usual_keys:
        entries = [one for one in KNOWN.usual if one.key == key]
        assert entries[-1].when.requirements == (), key
        for one in entries:
            assert sum(one.shares) == pytest.approx(1)


def test_what_is_usual_depends_only_on_keys_above_it():
    above: set[str] = set()
    for one in KNOWN.usual:
        assert set(one.when.keys) <= above - {one.key}, one.key
        above.add(one.key)


def test_hard_rules_of_the_evidence_are_vetoes():
    stands = {
        "no-eval-set": {"eval_examples": 0},
        "under-10-examples": {"labelled_examples": 9},
        "no-tunable-model": {"model_access": "api_no_tuning"},
        "no-documents": {"corpus_tokens": 0},
        "citations-need-documents": {"needs_citations": True},
        "restricted-documents": {"access_control": True},
        "facts-change-weekly": {"fact_change_rate": "weekly"},
    }
    vetoes = {veto.id: veto for veto in KNOWN.vetoes}
    for name, values in stands.items():
        assert vetoes[name].when.verdict(values) is True
        assert vetoes[name].when.verdict({}) is None, "unknown vetoes nothing"


def test_labels_a_class_follow_from_two_answers():
    assert with_derived({"classes": 77, "labelled_examples": 231})["labels_per_class"] == 3
    assert "labels_per_class" not in with_derived({"classes": 0, "labelled_examples": 231})
    assert "labels_per_class" not in with_derived({"labelled_examples": 231})


def test_a_condition_on_what_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="unknown key"):
        condition({"colour": "red"})


@pytest.mark.parametrize(
    ("probability", "words"),
    [(1.0, "very likely"), (0.75, "very likely"), (0.7499, "likely"), (0.5, "likely"), (0.25, "possible"),
     (0.1, "unlikely"), (0.0999, "very unlikely"), (0.0, "very unlikely")],
)  # fmt: skip
def test_odds_in_words(probability, words):
    assert band(KNOWN.model, probability) == words


def test_every_approach_has_an_arm():
    assert set(ARMS_OF) == set(APPROACHES)
