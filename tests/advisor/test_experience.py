"""Earlier verdicts as evidence: read back, counted, bounded."""

import json

import pytest

from advisor.experience import MOST_POINTS, experience, past_verdicts, similarity

TRAITS = {"task": "facts_qa", "gap": "facts", "corpus_tokens": 200_000, "labelled_examples": 500}


def write(folder, number=0, **changes):
    record = {
        "schema_version": 1, "remembered": f"2026-11-{number + 1:02}T00:00:00Z", "name": "s", "kind": "short_answer",
        "verdict": "winner", "arm": "rag", "approach": "rag", "advised": "fine_tuning", "relation": "refuted",
        "answers": TRAITS, "quick": False,
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / f"{number}.json").write_text(json.dumps({**record, **changes}))


def test_a_verdict_speaks_for_what_won_and_against_what_it_refuted(tmp_path):
    write(tmp_path)
    found = experience(TRAITS, past_verdicts(tmp_path), advised="fine_tuning")
    assert (found.verdicts, found.refuted, found.confirmed) == (1, 1, 0)
    assert found.shifts == {"rag": 0.5, "fine_tuning": -0.5}
    assert "1 earlier bake-off of yours is like this use case" in found.sentence


def test_only_the_same_advice_is_counted_as_borne_out(tmp_path):
    write(tmp_path)
    found = experience(TRAITS, past_verdicts(tmp_path), advised="rag")
    assert (found.verdicts, found.refuted, found.confirmed) == (1, 0, 0)
    assert "The same advice was in none of them put to the test." in found.sentence
    assert "retrieval (RAG) +0.5, fine-tuning -0.5" in found.sentence


def test_of_several_runs_of_one_scenario_the_newest_counts(tmp_path):
    for number in range(5):
        write(tmp_path, number)
    assert experience(TRAITS, past_verdicts(tmp_path)).shifts["rag"] == 0.5


def test_a_quick_run_counts_half(tmp_path):
    write(tmp_path, quick=True)
    assert experience(TRAITS, past_verdicts(tmp_path)).shifts["rag"] == 0.25


def test_many_verdicts_move_the_odds_no_further_than_the_bound(tmp_path):
    for number in range(20):
        write(tmp_path, number, name=f"s{number}")
    assert experience(TRAITS, past_verdicts(tmp_path)).shifts == {"rag": MOST_POINTS, "fine_tuning": -MOST_POINTS}


def test_an_undecided_verdict_is_counted_and_moves_nothing(tmp_path):
    write(tmp_path, verdict="not_enough_cases", arm=None, approach=None, relation="undecided")
    found = experience(TRAITS, past_verdicts(tmp_path))
    assert (found.undecided, found.shifts) == (1, {})


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        (TRAITS, 1.0),
        ({**TRAITS, "labelled_examples": 1_400}, 1.0),
        ({**TRAITS, "labelled_examples": 1_600}, 0.75),
        ({**TRAITS, "task": "classification"}, 0.0),
        ({"task": "facts_qa"}, 0.0),
        ({}, 0.0),
    ],
)
def test_similarity_is_the_share_of_shared_answers_that_agree(other, alike):
    assert similarity(TRAITS, other) == alike


def test_other_use_cases_and_damaged_files_are_passed_over(tmp_path):
    write(tmp_path, answers={"task": "code", "gap": "form"})
    (tmp_path / "x.json").write_text("{")
    (tmp_path / "y.json").write_text("[]")
    found = experience(TRAITS, past_verdicts(tmp_path))
    assert (found.verdicts, found.shifts, found.sentence) == (
        0,
        {},
        "No earlier bake-off of yours is like this use case.",
    )


def test_nothing_remembered_is_no_error(tmp_path):
    assert past_verdicts(tmp_path / "none") == ()
