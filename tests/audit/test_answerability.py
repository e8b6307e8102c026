"""Answers are looked for in the documents as a careful reader would."""

import pytest

from harness.audit.answerability import answerability, unknown_documents
from harness.audit.signs import json_values
from harness.scenario import Case, Document

LONG = "Treatment focuses on drugs that may help reduce symptoms, such as clonazepam or primidone, alone or together."
DOCUMENTS = [
    Document("a", "Rivers", "The Rhine is 1,230 km long; it rises in Graubünden."),
    Document("b", "Drugs", f"Introduction. {LONG} Further reading."),
]


def share(output, **more):
    return answerability([Case("c", "i", output, **more)], DOCUMENTS).share


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("the rhine", 1),
        ("1,230 km", 1),
        ("Graubünden!", 1),
        ("Rivers", 1),
        ("Rhin", 0),
        ("Rhine long", 0),
        ("1230 km", 0),
        ("long rises", 0),
        (LONG.replace("help reduce", "lessen"), 1),
        (LONG.replace("drugs", "rivers") + " A wholly other sentence follows here, with words of its own.", 0),
        ("yes", None),
        ("True", None),
        ("...", None),
    ],
)
def test_an_answer_is_found_or_not(output, expected):
    assert share(output) == expected


def test_any_accepted_answer_will_do():
    assert share("nowhere", references=("yes", "the Rhine")) == 1


def test_two_documents_do_not_make_one_answer():
    assert share("long Introduction") == 0


def test_missing_cases_are_given_and_judgements_are_not_counted():
    cases = [Case("1", "i", "Rhine"), Case("2", "i", "Danube"), Case("3", "i", "no")]
    found = answerability(cases, DOCUMENTS)
    assert (found.checked, [case.id for case in found.missing], found.share) == (2, ["2"], 0.5)


def test_a_context_id_that_names_no_document_is_named_with_its_line():
    cases = [
        Case("1", "i", "o", context_id="a", line=1),
        Case("2", "i", "o", context_id="x", line=2),
        Case("3", "i", "o"),
    ]
    assert [str(problem) for problem in unknown_documents(cases, DOCUMENTS, file="eval.jsonl")] == [
        "eval.jsonl:2: context_id 'x' names no document; give the id of a corpus row or a file's path"
    ]
    assert list(unknown_documents(cases, [], file="eval.jsonl")) == []


def test_of_a_json_object_the_texts_and_numbers_at_its_leaves_count_lists_included():
    text = '{"a": [1, "x", {"b": ["y", 2.5]}], "c": true, "d": null, "e": "z"}'
    assert json_values(text) == ["1", "x", "y", "2.5", "z"]
    assert json_values("[1, 2]") == json_values("no JSON") == []
