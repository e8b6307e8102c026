"""The split: always the same, of the right size, and nothing of one side on the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scenario import Case
from harness.scenario_file.split import eval_target, split


@pytest.mark.parametrize(
    ("n", "target"), [(2, 1), (10, 5), (100, 50), (120, 60), (300, 60), (1000, 200), (1500, 300), (100_000, 300)]
)
def test_eval_gets_a_fifth_within_its_bounds(n, target):
    assert eval_target(n, share=None, size=None) == target


@pytest.mark.parametrize(
    ("share", "size", "target"), [(0.5, None, 500), (None, 40, 40), (None, 5000, 999), (0.0001, None, 1), (0.9, 7, 7)]
)
def test_a_share_or_a_size_that_is_asked_for_wins(share, size, target):
    assert eval_target(1000, share=share, size=size) == target


def test_the_split_is_the_same_every_time_and_keeps_the_order():
    cases = [Case(str(n), f"input {n}", "o") for n in range(100)]
    train, held_out = split(cases, 20, seed=1)
    assert (len(train), len(held_out)) == (80, 20)
    assert (train, held_out) == split(cases, 20, seed=1)
    assert held_out != split(cases, 20, seed=2)[1]
    assert [int(case.id) for case in train] == sorted(int(case.id) for case in train)


@given(
    rows=st.lists(st.tuples(st.integers(0, 8), st.one_of(st.none(), st.integers(0, 5))), min_size=2, max_size=40),
    seed=st.integers(0, 50),
)
def test_no_group_and_no_input_stands_on_both_sides(rows, seed):
    cases = [Case(str(n), f"Text {a}", "o", group=None if g is None else str(g)) for n, (a, g) in enumerate(rows)]
    train, held_out = split(cases, len(cases) // 2, seed=seed)
    assert len(held_out) <= len(cases) // 2
    assert {case.id for case in (*train, *held_out)} == {case.id for case in cases}
    assert not {case.input for case in train} & {case.input for case in held_out}
    assert not {case.group for case in train} & {case.group for case in held_out} - {None}


def test_inputs_that_differ_in_case_and_blanks_only_stay_together():
    cases = [Case("a", "Same  text", "o"), Case("b", "same text ", "o"), Case("c", "other", "o"), Case("d", "new", "o")]
    train, held_out = split(cases, 2, seed=0)
    sides = [{case.id for case in side} for side in (train, held_out)]
    assert any({"a", "b"} <= side for side in sides)
