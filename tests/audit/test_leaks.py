"""Leaks are found, and rows that only look alike are left alone."""

import numpy as np
import pytest

from harness.audit.leaks import exact_leaks, near_duplicates, without_leaks
from harness.scenario import Case, RemovedRow


def cases(prefix, *inputs):
    return [Case(f"{prefix}{number}", text, "o") for number, text in enumerate(inputs)]


def near(first, second, *, cosine=1.0):
    """Whether one training row counts as one eval case, at a given cosine."""
    train, held_out = cases("t", first), cases("e", second)
    angle = np.arccos(cosine)
    vectors = np.array([[1.0, 0.0]]), np.array([[np.cos(angle), np.sin(angle)]])
    return bool(near_duplicates(train, held_out, train_vectors=vectors[0], case_vectors=vectors[1]))


def test_exact_leaks_fold_case_blanks_and_unicode_form():
    train = cases("t", "Is it so?", "is  IT so?\n", "Is it?", "ﬁne")
    held_out = cases("e", "Is it so?", "fine")
    assert exact_leaks(train, held_out) == (
        RemovedRow("t0", "e0", "exact"),
        RemovedRow("t1", "e0", "exact"),
        RemovedRow("t3", "e1", "exact"),
    )


def test_punctuation_makes_no_exact_copy_but_a_near_one():
    assert exact_leaks(cases("t", "Is it so"), cases("e", "Is it so?")) == ()
    assert near("Is it so", "Is it so?")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Why was my card declined?", "why was my card declined"),
        (
            "Please tell me the opening hours of the shop in the town hall.",
            "Tell me the opening hours of the shop in the town hall",
        ),
        ("What is the opening time of a branch?", "What is the opening time of the branch?"),
        ("When does the library open on Sunday?", "When does the libary open on Sunday?"),
        ("When does the library open on Sunday?", "When does the lirbary open on Sunday?"),
        ("My transfer has not arrived yet.", "My transfers has not arrived yet."),
    ],
)
def test_slips_small_words_and_punctuation_make_a_near_duplicate(first, second):
    assert near(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Sam had 30 apples and ate 12. How many are left?", "Sam had 30 apples and ate 13. How many are left?"),
        ("Sam had 12 apples and ate 30 of the pears.", "Sam had 30 apples and ate 12 of the pears."),
        ("name[Aroma], food[English], area[riverside]", "name[Aroma], food[English], area[city centre]"),
        ("name[Aroma], food[English], area[riverside]", "name[Bingo], food[English], area[riverside]"),
        (
            "How do I move money from euros to dollars in the app today?",
            "How do I move money from dollars to euros in the app today?",
        ),
        (
            "Can I cancel my transfer after it was sent to my friend?",
            "Can I not cancel my transfer after it was sent to my friend?",
        ),
        ("What did Maria say about the treaty of that year?", "What did Marta say about the treaty of that year?"),
        ("Which kind of groups has Iran supported there?", "Which kind of groups has Iraq supported there?"),
        ("What is the maximum storage for db.t2.small here?", "What is the maximum storage for db.t3.small here?"),
        ("The price of plan A for a company of our size", "The price of plan B for a company of our size"),
        ("Why was my card declined at the shop?", "Why was my card refused at the shop?"),
        ("Is my card payment still pending?", "Is my cash withdrawal still pending?"),
        ("Answer yes.", "Answer no."),
    ],
)
def test_rows_of_one_template_and_paraphrases_are_other_cases_whatever_the_embedding_says(first, second):
    assert not near(first, second)


def test_the_embedding_must_agree_too():
    assert near("Is it so", "Is it so?", cosine=0.851)
    assert not near("Is it so", "Is it so?", cosine=0.849)


def test_long_texts_may_have_a_slip_in_every_twenty_five_words():
    words = [f"word{'abcdefghij'[n % 10]}{'klmnopqrst'[n // 10]}" for n in range(100)]
    four = [word + "s" if n % 30 == 1 else word for n, word in enumerate(words)]
    six = [word + "s" if n % 18 == 1 else word for n, word in enumerate(words)]
    assert near(" ".join(words), " ".join(four))
    assert not near(" ".join(words), " ".join(six))


def test_very_long_copies_are_found_quickly():
    text = " ".join(f"w{n}" for n in range(3000))
    assert near(text + " end", text + " the end.")


def test_a_row_is_matched_with_its_most_similar_case_and_exact_copies_are_passed_over():
    train = cases("t", "Is it so", "is it so?", "other")
    held_out = cases("e", "Is it so!", "Is it so?")
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.2], [1.0, 0.1]])
    (found,) = near_duplicates(train, held_out, train_vectors=vectors[0], case_vectors=vectors[1])
    assert (found.train_id, found.eval_id, found.why) == ("t0", "e1", "near duplicate")
    assert found.similarity == pytest.approx(1 / np.hypot(1, 0.1), abs=1e-4)


def test_many_rows_are_compared_block_by_block(monkeypatch):
    train = cases("t", *(f"text number {n} of many" for n in range(60)))
    held_out = cases("e", *(f"Text number {n}, of many!" for n in range(0, 60, 7)))
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 16))
    whole = near_duplicates(train, held_out, train_vectors=vectors, case_vectors=vectors[::7])
    monkeypatch.setattr("harness.audit.leaks._BLOCK", 10)
    assert [row.train_id for row in whole] == [f"t{n}" for n in range(0, 60, 7)]
    assert near_duplicates(train, held_out, train_vectors=vectors, case_vectors=vectors[::7]) == whole


def test_nothing_is_near_to_nothing():
    empty = np.zeros((0, 2))
    assert near_duplicates([], cases("e", "x"), train_vectors=empty, case_vectors=np.ones((1, 2))) == ()
    assert near_duplicates(cases("t", "x"), [], train_vectors=np.ones((1, 2)), case_vectors=empty) == ()


def test_leaks_leave_training_and_the_rest_stays_in_order():
    train = cases("t", "a", "b", "c")
    assert without_leaks(train, [RemovedRow("t1", "e0", "exact")]) == (train[0], train[2])
