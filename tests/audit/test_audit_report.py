"""The audit of a whole scenario: facts, and every problem with its file and line."""

from pathlib import Path

import numpy as np

from harness.audit.lengths import too_long
from harness.audit.report import audit
from harness.scenario import Case, DecisionRule, Document, Kind, RemovedRow, Scenario


def rows(prefix, *pairs):
    return tuple(
        Case(f"{prefix}{line}", source, target, line=line) for line, (source, target) in enumerate(pairs, start=1)
    )


def scenario(kind=Kind.LABELS, train=(), cases=(("x", "a"),), **more):
    return Scenario(
        name="n",
        folder=Path(),
        kind=kind,
        instruction="Say it.",
        cases=rows("e", *cases),
        train=rows("t", *train),
        rule=DecisionRule("accuracy", 0.05),
        **more,
    )


def said(found):
    return [str(problem) for problem in found.problems]


def test_a_clean_scenario_has_facts_and_no_problems():
    train = [(f"text {n}", "ab"[n % 2]) for n in range(8)]
    found = audit(scenario(train=train, cases=[("new", "a"), ("newer", "b")]))
    assert found.problems == ()
    assert (found.n_train, found.n_eval, found.n_labels) == (8, 2, 2)
    assert (found.label_rows_min, found.label_rows_median) == (4, 4.0)
    assert (found.contradictory, found.repeated_eval, found.answerable_share, found.too_long) == (0, 0, None, None)


def test_leaks_are_removed_and_named_with_both_places():
    found = audit(scenario(train=[("X ", "a"), ("y", "a"), ("z", "a"), ("w", "a")]))
    assert found.removed == (RemovedRow("t1", "e1", "exact"),)
    assert said(found) == ["train.jsonl:1: the input 'X' stands in eval.jsonl:1 too; the row is left out of training"]
    assert (found.n_train, found.label_rows_min) == (4, 3)


def test_near_duplicates_are_found_where_embeddings_are_given():
    given = scenario(train=[("is it so", "a")] + [(f"u{n}", "a") for n in range(3)], cases=[("Is it so?", "a")])
    assert audit(given).removed == ()
    found = audit(given, embed=lambda texts: np.eye(4)[: len(texts)])
    assert found.removed == (RemovedRow("t1", "e1", "near duplicate"),)
    assert "train.jsonl:1: the input 'is it so' is nearly the same as in eval.jsonl:1" in said(found)[0]


def test_contradictions_and_repeated_eval_rows_are_counted():
    found = audit(scenario(cases=[("x", "a"), ("X", "a"), ("y", "a"), ("y", "b")]))
    assert (found.repeated_eval, found.contradictory) == (1, 1)
    assert said(found)[0] == "eval.jsonl:2: the row repeats eval.jsonl:1 and counts twice; delete one of them"
    assert said(found)[1].startswith("eval.jsonl:4: the input 'y' stands with different outputs")


def test_labels_that_only_eval_has_count_as_rows_of_none():
    found = audit(scenario(train=[(f"t{n}", "a") for n in range(4)], cases=[("x", "b")]))
    assert (found.n_labels, found.label_rows_min) == (2, 0)


def test_answers_in_no_document_are_named_one_by_one_when_short():
    documents = (Document("d", "T", "the Rhine is long"),)
    cases = [("Which river?", "Rhine"), ("Which town?", "Bonn")]
    found = audit(scenario(Kind.SHORT_ANSWER, cases=cases, documents=documents))
    assert (found.answerable_share, found.documents, found.corpus_words) == (0.5, 1, 4)
    assert said(found) == ["eval.jsonl:2: no document holds the answer 'Bonn'; arms that read documents cannot copy it"]


def test_of_free_text_only_the_share_is_said():
    documents = (Document("d", "T", "the Rhine is long"),)
    found = audit(scenario(Kind.FREE_TEXT, cases=[("a", "b c d"), ("e", "f g h")], documents=documents))
    assert said(found) == ["eval.jsonl: no document holds 2 of 2 eval answers, nor most of their words"]


def test_rows_longer_than_the_window_are_named():
    given = scenario(Kind.FREE_TEXT, train=[("a b c d e f g", "h")], cases=[("a", "b")])
    found = audit(given, count_tokens=lambda text: len(text.split()), window=8)
    assert found.too_long == 1
    assert said(found) == [
        "train.jsonl:1: the row has 10 tokens with its instruction, and the model reads 8; shorten the row"
    ]
    assert audit(given, count_tokens=lambda text: len(text.split()), window=10).too_long == 0


def test_lengths_can_be_counted_without_an_instruction():
    cases = rows("e", ("a b", "c"))
    count = list(too_long(cases, file="eval.jsonl", count_tokens=lambda text: len(text.split()), window=2))
    assert len(count) == 1


def test_file_names_of_the_scenario_are_used():
    found = audit(scenario(train=[("x", "a")] * 1, eval_file="test.jsonl", train_file="fit.jsonl"))
    assert said(found)[0] == "fit.jsonl:1: the input 'x' stands in test.jsonl:1 too; the row is left out of training"


def test_problems_of_one_kind_are_named_up_to_a_limit_and_all_are_counted(monkeypatch):
    monkeypatch.setattr("harness.audit.report.MOST_NAMED", 2)
    found = audit(scenario(cases=[("x", "a")] * 5))
    assert found.repeated_eval == 4
    assert [str(problem) for problem in found.problems][-1] == (
        "eval.jsonl: 2 more problems of this kind are not listed; mend those that are, and check again"
    )
    assert len(found.problems) == 3
