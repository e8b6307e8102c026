"""Cuts are the same every time, keep the order, and lose no label that can be kept."""

from collections import Counter

import pytest

from harness.scenario import Case
from harness.scenario_file.limits import draw, draw_stratified

CASES = [Case(str(n), "i", "common" if n % 10 else f"rare {n}") for n in range(100)]


@pytest.mark.parametrize("how", [draw, draw_stratified])
def test_a_cut_keeps_file_order_and_is_the_same_every_time(how):
    cut = how(CASES, 30, seed=1)
    places = [int(case.id) for case in cut]
    assert len(cut) == 30
    assert places == sorted(places)
    assert cut == how(CASES, 30, seed=1)
    assert cut != how(CASES, 30, seed=2)


@pytest.mark.parametrize("how", [draw, draw_stratified])
def test_a_larger_cut_holds_the_smaller_one(how):
    assert set(how(CASES, 20, seed=3)) <= set(how(CASES, 50, seed=3))


def test_a_stratified_cut_loses_no_label_while_there_is_room():
    assert len({case.output for case in draw_stratified(CASES, 11, seed=0)}) == 11


def test_a_stratified_cut_without_room_keeps_the_frequent_labels():
    assert "common" in {case.output for case in draw_stratified(CASES, 3, seed=0)}


def test_a_stratified_cut_keeps_the_shares_about_as_they_were():
    cases = [Case(str(n), "i", "abc"[n % 3]) for n in range(300)]
    counts = Counter(case.output for case in draw_stratified(cases, 90, seed=0))
    assert min(counts.values()) >= 20


def test_nothing_can_be_kept_of_nothing():
    assert draw([], 5, seed=0) == ()
    assert draw_stratified([], 5, seed=0) == ()
