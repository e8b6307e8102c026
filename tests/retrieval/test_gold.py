"""Which passages a case can be answered from."""

import pytest

from harness.records import Passage
from harness.retrieval.gold import Bag, answers_of, holds_answer, is_of, together
from harness.scenario import Case

LONG = "one two three four five six seven eight nine ten"


@pytest.mark.parametrize(
    ("text", "answer", "held"),
    [
        ("The capital is Paris.", "paris", True),
        ("It is known.", "no", False),
        ("It was a form of Anthrax!", "form of the anthrax", True),
        ("anthrax form", "form anthrax", False),
        ("東京は日本の首都です", "日本", True),
        (" ".join(LONG.split()[::-1][:8]), LONG, True),
        (" ".join(LONG.split()[:7]), LONG, False),
    ],
)
def test_short_answers_stand_whole_long_ones_by_most_of_their_words(text, answer, held):
    assert Bag.of(text).holds(Bag.of(answer)) is held


def test_what_ends_one_text_does_not_run_on_in_the_next():
    both = together([Bag.of("so new"), Bag.of("york it is")])
    assert not both.holds(Bag.of("new york"))
    assert both.holds(Bag.of("york"))


def test_yes_and_no_are_not_looked_for():
    assert answers_of(Case("c", "x", "Yes", references=("no!", "..."))) == ()
    assert answers_of(Case("c", "x", "Yes", references=("five",))) == (Bag.of("five"),)


@pytest.mark.parametrize(
    ("context", "output", "held"),
    [("d", "five", True), ("d#2", "five", True), ("e", "five", False), (None, "five", True), ("d", "six", False),
     ("d", "yes", True), (None, "yes", False)],
)  # fmt: skip
def test_the_passage_to_answer_from_is_of_the_named_document_and_holds_the_answer(context, output, held):
    passage = Passage("d#2", "d", "T", "There are five.")
    assert holds_answer(passage, Case("c", "x", output, context_id=context)) is held


def test_no_document_is_nobodys():
    assert not is_of(Passage("d", "d", "", ""), None)
