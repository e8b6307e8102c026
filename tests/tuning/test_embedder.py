"""What an embedder is tuned on: pairs of training rows, and batches without false negatives."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ArmFailed
from harness.records import Passage
from harness.scenario import Case
from harness.tuning.embedder import (
    EPOCHS,
    Pair,
    distinct_batches,
    epochs_for,
    label_pairs,
    question_passage_pairs,
    tune_embedder,
)

rows = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["x", "y", "z"])), max_size=30)
pairs = st.lists(st.builds(Pair, *[st.sampled_from("abcdefghijkl")] * 2, st.sampled_from(["", "x", "y"])), max_size=40)


def case(text, output, *, context_id=None):
    return Case(text, text, output, context_id=context_id, group=None, line=1)


@given(rows)
def test_label_pairs_are_two_inputs_of_one_label_each_input_once_the_anchor(given_rows):
    made = label_pairs([case(*row) for row in given_rows])
    known = set(given_rows)
    assert all((p.anchor, p.group) in known and (p.positive, p.group) in known for p in made)
    assert all(p.anchor != p.positive for p in made)
    alone = [label for label in "xyz" if len({r for r in known if r[1] == label}) == 1]
    assert len(made) == len({r for r in known if r[1] not in alone})


def test_label_pairs_follow_the_seed():
    many = [case(f"text {n}", "x") for n in range(30)]
    assert label_pairs(many, seed=1) == label_pairs(many, seed=1) != label_pairs(many, seed=2)


@given(pairs, st.integers(1, 8), st.integers(0, 3))
def test_no_two_pairs_of_a_batch_share_a_group_or_a_text(given_pairs, size, seed):
    for batch in distinct_batches(given_pairs, size=size, seed=seed):
        assert 2 <= len(batch) <= size
        for first, second in combinations(batch, 2):
            assert not {first.anchor, first.positive} & {second.anchor, second.positive}
            assert not first.group or first.group != second.group


@given(pairs, st.integers(2, 8))
def test_every_pair_is_in_one_batch_but_those_that_would_stand_alone(given_pairs, size):
    made = [pair for batch in distinct_batches(given_pairs, size=size, seed=0) for pair in batch]
    left = list(given_pairs)
    for pair in made:
        left.remove(pair)
    assert all(pair in given_pairs for pair in made)
    if len({p.group or p.anchor + p.positive for p in given_pairs}) == len(given_pairs):
        texts = [t for p in given_pairs for t in {p.anchor, p.positive}]
        assert len(left) <= 1 or len(set(texts)) < len(texts)


def test_pairs_without_a_conflict_fill_their_batches():
    plain = [Pair(f"a{n}", f"b{n}") for n in range(65)]
    assert sorted(map(len, distinct_batches(plain, size=32, seed=0))) == [32, 32]


PASSAGES = [
    Passage("d1#1", "d1", "Rivers", "The Rhine is long."),
    Passage("d1#2", "d1", "Rivers", "The Danube is longer."),
    Passage("d2", "d2", "", "The Rhine again, and the Elbe."),
]


@pytest.mark.parametrize(
    ("answer", "document", "found"),
    [
        ("Danube", "d1", "d1#2"),
        ("Danube", None, "d1#2"),
        ("Rhine", "d1", "d1#1"),
        ("Rhine", "d2", "d2"),
        ("Rhine", None, None),
        ("Danube", "d2", None),
        ("Volga", None, None),
        ("elbe", "d2", "d2"),
    ],
)
def test_a_question_is_paired_with_the_passage_of_its_document_that_holds_its_answer(answer, document, found):
    made = question_passage_pairs([case("Which?", answer, context_id=document)], PASSAGES)
    assert [pair.group for pair in made] == ([found] if found else [])


def test_a_passage_is_written_with_its_title_as_it_is_searched():
    made = question_passage_pairs([case("A?", "Danube"), case("B?", "Elbe")], PASSAGES)
    assert [pair.positive for pair in made] == ["Rivers\nThe Danube is longer.", "The Rhine again, and the Elbe."]


@pytest.mark.parametrize(
    ("number", "length", "passes"),
    [(10, 50, EPOCHS[1]), (770, 50, 5), (10_000, 50, EPOCHS[0]), (770, 500, 3), (770, 5_000, EPOCHS[0])],
)
def test_passes_follow_from_the_number_of_pairs_and_their_length(number, length, passes):
    assert epochs_for([Pair("a" * (length // 2), "b" * (length // 2))] * number) == passes


@pytest.mark.parametrize("few", [[], [("a", "b")], [Pair("a", "b", "x"), Pair("c", "d", "x")]])
def test_pairs_that_cannot_stand_in_one_batch_are_too_few(few, tmp_path):
    with pytest.raises(ArmFailed, match="no two training pairs"):
        tune_embedder(None, few, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
