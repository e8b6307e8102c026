"""Contradictions and hopeless labels are named with their places."""

import pytest

from harness.audit.labels import class_counts, contradictions, label_problems
from harness.audit.text import Place
from harness.scenario import Case, Kind


def place(file, line, source, target, **more):
    return Place(file, Case(f"{file}-{line}", source, target, line=line, **more))


def found(kind, *places):
    return [str(problem) for problem in contradictions(places, kind)]


def test_one_input_with_two_labels_is_named_with_both_places():
    assert found(
        Kind.LABELS,
        place("train.jsonl", 3, "My card?", "lost"),
        place("train.jsonl", 4, "other", "lost"),
        place("eval.jsonl", 7, "my  card?", "stolen"),
    ) == [
        "eval.jsonl:7: the input 'my card?' stands with different outputs: 'lost' (train.jsonl:3),"
        " 'stolen' (eval.jsonl:7); only one can be right"
    ]


def test_an_input_with_many_outputs_is_named_once():
    assert len(found(Kind.LABELS, *(place("train.jsonl", n, "x", f"label {n}") for n in range(9)))) == 1


@pytest.mark.parametrize(
    ("kind", "first", "second", "count"),
    [
        (Kind.LABELS, "a", "a", 0),
        (Kind.LABELS, "a", "A", 0),
        (Kind.LABELS, "a", "b", 1),
        (Kind.JSON, '{"a": 1, "b": 2}', '{"b": 2, "a": 1}', 0),
        (Kind.JSON, '{"a": 1}', '{"a": 2}', 1),
        (Kind.SHORT_ANSWER, "Rome", "Paris", 1),
        (Kind.FREE_TEXT, "Rome it is.", "It is Paris.", 0),
    ],
)
def test_what_contradicts_depends_on_the_kind(kind, first, second, count):
    assert len(found(kind, place("t", 1, "x", first), place("t", 2, "x", second))) == count


def test_short_answers_that_accept_each_other_or_come_from_other_documents_agree():
    accepted = place("t", 1, "x", "Rome", references=("Roma",)), place("t", 2, "x", "Roma", references=("Rome",))
    elsewhere = place("t", 1, "x", "Rome", context_id="a"), place("t", 2, "x", "Paris", context_id="b")
    assert found(Kind.SHORT_ANSWER, *accepted) == []
    assert found(Kind.SHORT_ANSWER, *elsewhere) == []


def rows(*outputs):
    return [Case(str(n), f"i{n}", output) for n, output in enumerate(outputs)]


def test_rows_of_each_label_are_counted():
    assert class_counts(rows("a", "b", "a")) == {"a": 2, "b": 1}


def test_labels_that_training_lacks_or_hardly_has_are_named():
    train = rows(*["a"] * 5, *["b"] * 2)
    assert [str(problem) for problem in label_problems(train, rows("a", "c", "c", "d"), file="train.jsonl")] == [
        "train.jsonl: 2 labels of eval (rows: 3) missing from training: 'c', 'd';"
        " add rows with them, or arms that learn cannot know them",
        "train.jsonl: 1 label has fewer than 3 training rows: 'b'; add rows with it",
    ]


def test_without_training_rows_there_is_nothing_to_say():
    assert list(label_problems([], rows("a", "b"), file="train.jsonl")) == []


def test_labels_that_differ_in_spelling_only_are_named():
    train = rows(*["card_lost", "Card lost", "card-found"] * 3)
    (problem,) = label_problems(train, [], file="train.jsonl")
    assert str(problem) == "train.jsonl: labels that differ only in spelling: 'card_lost', 'Card lost'; make them one"


def test_labels_that_differ_in_a_sign_are_no_spellings_of_each_other():
    assert list(label_problems(rows(*["C", "C++", "-1", "1"] * 3), [], file="t")) == []


def test_long_lists_of_labels_are_cut():
    (problem,) = label_problems(rows(*["x"] * 3), rows(*(f"l{n}" for n in range(20))), file="t")
    assert "'l7' and 12 more;" in str(problem)
