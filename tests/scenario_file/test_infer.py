"""Kind, labels, keys and metric, told from the outputs alone."""

import json
import random

import pytest

from harness.scenario import Case, Kind
from harness.scenario_file.infer import (
    are_numbers,
    closed_set,
    infer_kind,
    infer_metric,
    json_keys,
    label_set,
    word_count,
)

SENTENCE = "The committee met on Tuesday and put the decision off until all members had read the report."
NAMES = [
    f"{first} {last}" for first in ("Ada", "Ben", "Cem", "Dee", "Eva") for last in ("Abel", "Bohr", "Cray", "Dahl")
]


def cases(outputs, inputs=None):
    return [
        Case(f"c{number}", inputs[number] if inputs else f"What about number {number}, then", output)
        for number, output in enumerate(outputs)
    ]


def drawn(values, n, *, seed=0):
    return random.Random(seed).choices(values, k=n)


@pytest.mark.parametrize(
    ("what", "outputs", "kind"),
    [
        ("yes and no", drawn(["yes", "no"], 60), Kind.LABELS),
        ("four rows of yes and no", ["Yes", "No", "Yes", "No"], Kind.LABELS),
        (
            "five labels in 53 rows",
            drawn(["Make Update", "Setup Printer", "None", "Shutdown", "Other"], 53),
            Kind.LABELS,
        ),
        ("seventy labels, fourteen rows each", [f"intent_{n % 70}" for n in range(980)], Kind.LABELS),
        ("ratings from one to five", drawn(list("12345"), 60), Kind.LABELS),
        ("a long tail of one rare label", [*drawn(["a", "b", "c"], 60), "rare"], Kind.LABELS),
        ("one label only", ["spam"] * 12, Kind.LABELS),
        ("sums with many results", [str(n) for n in drawn(range(100), 500)], Kind.SHORT_ANSWER),
        ("a few sums with small results", [str(n) for n in drawn(range(1, 30), 40)], Kind.SHORT_ANSWER),
        ("prices", [f"${n}.{n % 90 + 10}" for n in range(50)], Kind.SHORT_ANSWER),
        ("names, some of them often", [*drawn(NAMES, 30), *(f"Only {n}" for n in range(60))], Kind.SHORT_ANSWER),
        ("each answer twice", [f"Place {n}" for n in range(50)] * 2, Kind.SHORT_ANSWER),
        ("sentences", [f"{SENTENCE} {n}" for n in range(30)], Kind.FREE_TEXT),
        (
            "the same two sentences again and again",
            drawn([SENTENCE, SENTENCE + " Then they left."], 40),
            Kind.FREE_TEXT,
        ),
        ("short answers with a long tail", [*["x y"] * 30, *[SENTENCE * 3] * 10], Kind.FREE_TEXT),
        ("several lines", [f"one {n}\ntwo" for n in range(40)], Kind.FREE_TEXT),
        ("objects", [json.dumps({"n": n}) for n in range(40)], Kind.JSON),
        ("objects and one slip", [*(json.dumps({"n": n}) for n in range(40)), "n: 4"], Kind.JSON),
        ("lists", [json.dumps([n, n + 1]) for n in range(40)], Kind.SHORT_ANSWER),
        ("one row", ["Paris"], Kind.SHORT_ANSWER),
        ("nine rows of three labels, one of them once", [*"aaaaabbbc"], Kind.LABELS),
        ("six labels, two rows each", ["in", "out", "up", "down", "left", "right"] * 2, Kind.LABELS),
        ("six numbers, two rows each", [*"369258"] * 2, Kind.SHORT_ANSWER),
        ("three rows of three answers", ["Rome", "Oslo", "Bern"], Kind.SHORT_ANSWER),
    ],
)
def test_the_kind_is_told_from_the_outputs(what, outputs, kind):
    found, because = infer_kind(cases(outputs))
    assert (what, found) == (what, kind)
    assert because


def test_short_outputs_that_repeat_their_input_are_a_rewriting_job():
    inputs = [f"teh cat number {n} sat down here" for n in range(40)]
    outputs = [f"the cat number {n} sat down here" for n in range(40)]
    assert infer_kind(cases(outputs, inputs)) == (Kind.FREE_TEXT, "the outputs are their inputs written anew")


def test_small_counts_asked_for_are_answers_and_ratings_are_labels():
    numbers = drawn(list("12345"), 100)
    asked = [f"Ann had {n} pens and lost some. How many are left?" for n in range(100)]
    reviews = [f"Ann bought pen {n} and liked it." for n in range(100)]
    assert infer_kind(cases(numbers, asked))[0] is Kind.SHORT_ANSWER
    assert infer_kind(cases(numbers, reviews))[0] is Kind.LABELS


def test_the_reasons_are_plain_words():
    assert infer_kind(cases(["a", "b"] * 20))[1] == "40 outputs use only 2 different short texts again and again"
    assert infer_kind(cases(["Paris", "Rome", "Bonn, on the Rhine"]))[1] == (
        "half of the outputs have at most 1 word, nine in ten at most 1"
    )


def test_numbers_of_a_scale_are_labels_and_free_numbers_are_not():
    assert closed_set(drawn([str(n) for n in range(11)], 200)) == 11
    assert closed_set(drawn([str(n) for n in range(12)], 200)) == 0


@pytest.mark.parametrize(
    ("kind", "outputs", "metric"),
    [
        (Kind.LABELS, ["a"], "accuracy"),
        (Kind.JSON, ["{}"], "field_f1"),
        (Kind.SHORT_ANSWER, ["Paris"], "token_f1"),
        (Kind.SHORT_ANSWER, ["1", "2.5", "-3", "1,000", "four"], "exact_match"),
        (Kind.FREE_TEXT, ["x"], "chrf"),
    ],
)
def test_each_kind_has_its_metric(kind, outputs, metric):
    assert infer_metric(kind, outputs)[0] == metric


@pytest.mark.parametrize(
    ("text", "is_number"),
    [
        ("7", True),
        ("-7.5", True),
        ("$1,200.50", True),
        ("12 %", True),
        ("1e-3", True),
        (".5", True),
        ("7 apples", False),
        ("1990s", False),
        ("", False),
        ("-", False),
    ],
)
def test_what_counts_as_a_number(text, is_number):
    assert are_numbers([text]) == is_number


def test_labels_stand_in_order_of_first_appearance_train_first():
    assert label_set(cases(["b", "a", "b"]), cases(["c", "a", "d"])) == ("b", "a", "c", "d")


def test_keys_stand_most_frequent_first():
    assert json_keys(cases(['{"b": 1}', '{"a": 1, "c": 1}', '{"c": 2, "a": 3}', "no"])) == ("a", "c", "b")


@pytest.mark.parametrize(("text", "n"), [("", 0), ("two words", 2), ("日本語の文章です", 4), ("GPU 日本", 2)])
def test_words_are_counted_with_and_without_blanks(text, n):
    assert word_count(text) == n
