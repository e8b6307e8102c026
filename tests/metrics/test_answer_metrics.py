"""Metrics of texts and labels: what each gives, on cases worked out by hand."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from harness.metrics.accuracy import accuracy
from harness.metrics.chrf import chrf
from harness.metrics.contains import contains
from harness.metrics.exact_match import exact_match
from harness.metrics.macro_f1 import macro_f1, weighted_macro_f1
from harness.metrics.rouge_l import rouge_l
from harness.metrics.token_f1 import token_f1


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("card_payment", "Card payment", 1),
        ("refund.", "refund", 1),
        ("refund", "refunds", 0),
        ("-1", "1", 0),
        ("ok", "ok?", 0),
    ],
)
def test_accuracy_is_equality_of_labels(answer, reference, score):
    assert accuracy(answer, [reference]) == score


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("The Eiffel Tower!", "eiffel tower", 1),
        ("1,000", "1000", 1),
        ("5", "5.0", 1),
        ("5.0", "50", 0),
        ("-5", "5", 0),
        ("−5", "-5", 1),
        ("$5.50", "5.5", 1),
        ("5 kg", "5kg", 1),
        ("007", "7", 0),
        ("2010-2012", "2010–2012", 1),
        ("3.10.2", "3.102", 0),
        ("A", "A", 1),
        ("A", "the", 0),
        ("A", "B", 0),
        ("+", "+", 1),
        ("+", "-", 0),
        ("北京。", "北京", 1),
        ("हिन्दी", "हिन्द", 0),
        ("ﬁve", "five", 1),
        ("in 1685", "1685", 0),
    ],
)
def test_exact_match_ignores_case_punctuation_articles_and_the_spelling_of_numbers(answer, reference, score):
    assert exact_match(answer, [reference]) == score


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("the cat sat", "a cat sat down", 2 * 2 / (2 + 3)),
        ("cat cat", "cat", 2 / 3),
        ("dog", "cat", 0),
        ("in 1,685", "1685", 2 / 3),
        ("北京市", "北京", 4 / 5),
        ("The", "the", 1),
    ],
)
def test_token_f1_counts_shared_words(answer, reference, score):
    assert token_f1(answer, [reference]) == pytest.approx(score)


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("It was declared in 1685, by the king.", "1685", 1),
        ("It takes 5.0 hours", "5 hours", 1),
        ("the fifth floor", "five", 0),
        ("15 hours", "5 hours", 0),
        ("York is new", "New York", 0),
        ("首都是北京。", "北京", 1),
        ("anything", "anything else", 0),
    ],
)
def test_contains_looks_for_the_reference_in_the_answer(answer, reference, score):
    assert contains(answer, [reference]) == score


def test_rouge_l_counts_words_in_the_same_order():
    assert rouge_l("the cat sat on the mat", ["the mat sat on the cat"]) == pytest.approx(2 / 4)
    assert rouge_l("один два три", ["один три"]) == pytest.approx(4 / 5)


def test_chrf_is_that_of_sacrebleu():
    from sacrebleu import sentence_chrf

    assert chrf("the cat sat", ["the cat sits"]) == pytest.approx(
        sentence_chrf("the cat sat", ["the cat sits"]).score / 100
    )
    assert chrf("the cat sat", ["the cat sat"]) == 1


TEXT_METRICS = [accuracy, exact_match, token_f1, contains, rouge_l, chrf]


@pytest.mark.parametrize("metric", TEXT_METRICS)
def test_the_best_of_several_references_counts(metric):
    assert metric("in Paris", ["London", "in Paris", "Rome"]) == pytest.approx(1)


@pytest.mark.parametrize("metric", TEXT_METRICS)
@pytest.mark.parametrize("answer", ["", "  "])
def test_an_empty_answer_is_wrong_unless_saying_nothing_is_right(metric, answer):
    assert metric(answer, ["Paris"]) == 0
    assert metric(answer, ["the"]) == 0
    assert metric(answer, []) == 0
    assert metric(answer, ["Paris", ""]) == 1
    assert metric("Paris", [""]) == 0


@pytest.mark.parametrize("metric", TEXT_METRICS)
@pytest.mark.parametrize("answer", ["?", "...", "a", "\ud83d\ude00", "İ", "x" * 2000, "\x00"])
def test_strange_answers_get_a_score_between_0_and_1(metric, answer):
    assert 0 <= metric(answer, ["Paris", "?!"]) <= 1


def test_macro_f1_is_that_of_scikit_learn_over_the_expected_labels():
    expected = ["a", "a", "b", "c", "c", "c"]
    answers = ["a", "b", "b", "nonsense", "c", "c"]
    plain = f1_score(expected, answers, labels=["a", "b", "c"], average="macro")
    assert macro_f1(answers, expected) == pytest.approx(plain)
    # An invented label counts as a miss, not as a fourth label.
    assert plain > f1_score(expected, answers, average="macro", zero_division=0)
    assert macro_f1([], []) == 0


def test_macro_f1_of_many_resamples_equals_macro_f1_of_each():
    rng = np.random.default_rng(0)
    expected, answers = (["abcd"[i] for i in rng.integers(0, 4, 40)] for _ in range(2))
    drawn = rng.integers(0, 40, (20, 40))
    weights = np.stack([np.bincount(row, minlength=40) for row in drawn])
    one_by_one = [macro_f1([answers[i] for i in row], [expected[i] for i in row]) for row in drawn]
    assert weighted_macro_f1(answers, expected, weights) == pytest.approx(one_by_one)
