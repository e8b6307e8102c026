"""The dev split."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.experiment.split import FEWEST_TRAIN, dev_size, split_dev
from harness.scenario import Case, Kind

rows = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, "g1", "g2", "g3"])), max_size=80).map(
    lambda found: [Case(f"t{n}", f"text {n}", label, group=group) for n, (label, group) in enumerate(found)]
)
seeds = st.integers(0, 9)
kinds = st.sampled_from(Kind)


@pytest.mark.parametrize(
    ("n", "quick", "expected"),
    [
        (0, False, 0),
        (9, False, 0),
        (10, False, 5),
        (16, False, 8),
        (40, False, 8),
        (40, True, 8),
        (100, False, 20),
        (5000, False, 60),
        (5000, True, 24),
    ],
)
def test_how_many_rows_are_held_out(n, quick, expected):
    assert dev_size(n, quick=quick) == expected


@given(rows, kinds, seeds)
def test_every_row_is_on_exactly_one_side_in_the_files_order(rows, kind, seed):
    train, dev = split_dev(rows, kind=kind, seed=seed)
    places = {case.id: place for place, case in enumerate(rows)}
    for side in (train, dev):
        assert [places[c.id] for c in side] == sorted(places[c.id] for c in side)
    assert {c.id for c in train} | {c.id for c in dev} == set(places)
    assert len(train) + len(dev) == len(rows)


@given(rows, kinds, seeds)
def test_no_more_is_held_out_than_asked(rows, kind, seed):
    assert len(split_dev(rows, kind=kind, seed=seed)[1]) <= dev_size(len(rows), quick=False)


@given(rows, kinds, seeds)
def test_a_group_is_never_torn(rows, kind, seed):
    train, dev = split_dev(rows, kind=kind, seed=seed)
    assert not {c.group for c in train if c.group} & {c.group for c in dev if c.group}


@given(rows, seeds)
def test_every_label_stays_in_train(rows, seed):
    train, _ = split_dev(rows, kind=Kind.LABELS, seed=seed)
    assert {c.output for c in train} == {c.output for c in rows}


def test_rare_labels_stay_in_train_and_common_ones_go_to_dev():
    rows = [Case(f"t{n}", "x", f"rare{n}" if n < 10 else "common") for n in range(40)]
    _, dev = split_dev(rows, kind=Kind.LABELS, seed=0)
    assert Counter(c.output for c in dev) == {"common": 8}


def test_the_split_follows_the_seed():
    rows = [Case(f"t{n}", "x", "y") for n in range(100)]
    first, again, other = (split_dev(rows, kind=Kind.FREE_TEXT, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_few_rows_are_all_kept_for_training():
    rows = [Case(f"t{n}", "x", "y") for n in range(FEWEST_TRAIN - 1)]
    assert split_dev(rows, kind=Kind.FREE_TEXT, seed=0) == (tuple(rows), ())
