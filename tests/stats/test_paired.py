"""Intervals and tests of paired scores on single samples; their long-run behaviour is in test_paired_coverage.py."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from harness.stats import paired
from harness.stats.paired import (
    Interval,
    _constant_interval,
    mcnemar_exact,
    mean_interval,
    paired_interval,
    paired_intervals,
    permutation_p,
    resampled_weights,
)

GRADED = np.random.default_rng(5).beta(1, 2, 80)


@pytest.mark.parametrize(("hits", "n"), [(11, 17), (4, 17), (27, 37), (0, 30), (30, 30), (1, 1)])
def test_right_or_wrong_scores_get_wilsons_interval(hits, n):
    found = mean_interval([1] * hits + [0] * (n - hits), alpha=0.05, right_or_wrong=True)
    assert found.estimate == hits / n
    assert (found.low, found.high) == pytest.approx(proportion_confint(hits, n, method="wilson"), abs=1e-12)


@pytest.mark.parametrize(("n", "half"), [(10, 0.278), (30, 0.114), (40, 0.088), (100, 0.037), (1000, 0.0038)])
def test_identical_arms_differ_by_nothing_give_or_take_what_so_many_cases_may_have_missed(n, half):
    found = paired_interval(np.zeros(n), alpha=0.05)
    assert found.estimate == 0
    assert (found.low, found.high) == pytest.approx((-half, half), abs=0.001)
    # Wilson's bound for n of n cases alike.
    assert 1 - found.high == pytest.approx(proportion_confint(n, n, method="wilson")[0])


def test_values_that_are_all_alike_leave_room_for_what_so_many_cases_may_have_missed_in_any_bounds():
    alike = proportion_confint(50, 50, method="wilson")[0]
    found = _constant_interval(0.4, 50, alpha=0.05, bounds=(-3.0, 2.0))
    assert (found.low, found.estimate, found.high) == pytest.approx(
        (0.4 * alike - 3 * (1 - alike), 0.4, 0.4 * alike + 2 * (1 - alike))
    )


@pytest.mark.parametrize(
    ("rows", "columns", "sizes"), [(10, 25, [4, 4, 2]), (8, 25, [4, 4]), (3, 25, [3]), (2, 900, [1, 1])]
)
def test_resamples_are_drawn_in_parts_that_add_up(monkeypatch, rows, columns, sizes):
    monkeypatch.setattr(paired, "CELLS_PER_CHUNK", 100)
    assert list(paired._chunks(rows, columns)) == sizes


def test_identical_arms_in_groups_are_as_certain_as_the_groups_are_many():
    grouped = paired_interval(np.zeros(40), alpha=0.05, clusters=[str(i // 4) for i in range(40)])
    assert grouped == paired_interval(np.zeros(10), alpha=0.05)


def test_the_interval_is_close_to_students_on_well_behaved_data():
    found = paired_interval(GRADED - 0.3, alpha=0.05)
    half = stats.t.ppf(0.975, 79) * GRADED.std(ddof=1) / math.sqrt(80)
    assert found.estimate == pytest.approx(GRADED.mean() - 0.3)
    assert found.high - found.estimate == pytest.approx(half, rel=0.05)


def test_swapping_the_arms_mirrors_the_interval_and_keeps_p():
    there, back = (paired_interval(sign * (GRADED - 0.3), alpha=0.05) for sign in (1, -1))
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))
    assert permutation_p(GRADED - 0.3) == permutation_p(0.3 - GRADED)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    assert paired_interval(GRADED, alpha=0.05, seed=1) == paired_interval(GRADED, alpha=0.05, seed=1)
    assert paired_interval(GRADED, alpha=0.05, seed=1) != paired_interval(GRADED, alpha=0.05, seed=2)
    assert permutation_p(GRADED - 0.35, seed=1) == permutation_p(GRADED - 0.35, seed=1)


def test_a_lower_confidence_gives_an_interval_inside_the_wider_one():
    wide, narrow = paired_intervals(GRADED - 0.3, alphas=(0.05, 0.10))
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high
    assert wide == paired_interval(GRADED - 0.3, alpha=0.05)


def test_intervals_stay_on_the_scale():
    assert mean_interval([0.0] * 29 + [0.9], alpha=0.05, right_or_wrong=False).low == 0
    assert paired_interval([1.0] * 29 + [0.9], alpha=0.05).high <= 1


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_constant_scores_are_not_taken_for_certainty(value):
    found = mean_interval([value] * 30, alpha=0.05, right_or_wrong=False)
    assert found.estimate == pytest.approx(value)
    assert found.low <= value <= found.high
    assert 0.1 < found.high - found.low < 0.13


def test_a_lead_on_every_case_is_not_taken_for_certainty_either():
    found = paired_interval(np.ones(60), alpha=0.05)
    assert found.estimate == found.high == 1
    assert 0.85 < found.low < 0.95


def test_differences_that_cancel_inside_every_group_are_not_taken_for_identity():
    found = paired_interval([0.5, -0.5] * 10, alpha=0.05, clusters=[str(i // 2) for i in range(20)])
    assert found.estimate == 0
    assert found.low < 0 < found.high


@pytest.mark.parametrize("clusters", [None, ["a"]])
def test_a_single_case_says_nothing_of_the_spread(clusters):
    assert paired_interval([0.3], alpha=0.05, clusters=clusters) == Interval(0.3, -1, 1)
    assert mean_interval([0.3], alpha=0.05, right_or_wrong=False, clusters=clusters) == Interval(0.3, 0, 1)


def test_no_case_at_all_gives_no_estimate_and_no_p():
    assert math.isnan(paired_interval([], alpha=0.05).estimate)
    assert math.isnan(mean_interval([], alpha=0.05, right_or_wrong=True).estimate)
    assert math.isnan(permutation_p([]))
    assert math.isnan(permutation_p([0.1, math.nan]))


def test_one_case_a_group_is_the_same_as_no_groups():
    names = [f"{i:03}" for i in range(80)]
    assert paired_interval(GRADED, alpha=0.05, clusters=names) == paired_interval(GRADED, alpha=0.05)
    assert permutation_p(GRADED - 0.3, clusters=names) == permutation_p(GRADED - 0.3)


def test_repeating_every_case_in_a_group_adds_no_certainty():
    once = paired_interval(GRADED - 0.3, alpha=0.05)
    names = np.repeat([f"{i:03}" for i in range(80)], 4)
    four = paired_interval(np.repeat(GRADED - 0.3, 4), alpha=0.05, clusters=names)
    assert (four.low, four.high) == pytest.approx((once.low, once.high), rel=1e-9)
    assert permutation_p(np.repeat(GRADED - 0.3, 4), clusters=names) == pytest.approx(
        permutation_p(GRADED - 0.3), abs=0.02
    )


def test_groups_must_be_given_for_every_case():
    with pytest.raises(ValueError, match="2 values, 1 clusters"):
        paired_interval([0.1, 0.2], alpha=0.05, clusters=["a"])


@pytest.mark.parametrize(
    ("first_only", "second_only", "p"),
    [(0, 0, 1), (5, 0, 0.0625), (6, 0, 0.03125), (0, 6, 0.03125), (8, 1, 0.0390625), (10, 10, 1), (3, 2, 1)],
)
def test_mcnemar_is_a_fair_coin_over_the_cases_that_only_one_arm_got_right(first_only, second_only, p):
    assert mcnemar_exact(first_only, second_only) == pytest.approx(p)


def test_mcnemar_agrees_with_scipys_binomial_test():
    for first, second in ((12, 4), (40, 61), (1, 30), (700, 640)):
        assert mcnemar_exact(first, second) == pytest.approx(stats.binomtest(first, first + second).pvalue)


def test_permutation_agrees_with_all_sign_flips_of_a_small_sample():
    sample = np.array([0.5, 0.2, -0.1, 0.4, 0.3, -0.2, 0.1, 0.0])
    exact = stats.permutation_test(
        (sample,), lambda x, axis: x.mean(axis=axis), permutation_type="samples", vectorized=True
    )
    assert permutation_p(sample) == pytest.approx(exact.pvalue, abs=0.015)


def test_permutation_p_is_1_without_a_difference_and_never_0():
    assert permutation_p(np.zeros(30)) == 1
    assert permutation_p(np.ones(60), resamples=999) == 1 / 1000


def test_few_groups_cannot_be_significant():
    # Three groups can be flipped in eight ways, two of them as extreme as what was seen.
    assert permutation_p(np.ones(300), clusters=["a", "b", "c"] * 100) > 0.2


def test_resampled_weights_draw_whole_groups():
    chunks = list(resampled_weights(6, resamples=50, seed=0, clusters=["a", "a", "b", "b", "c", "c"]))
    weights = np.concatenate(chunks)
    assert weights.shape == (50, 6)
    assert (weights.sum(axis=1) == 6).all()
    assert (weights[:, ::2] == weights[:, 1::2]).all()


@pytest.mark.parametrize("grouped", [False, True])
def test_two_thousand_cases_take_little_memory(grouped):
    rng = np.random.default_rng(0)
    differences = rng.random(2000) - rng.random(2000)
    clusters = [str(i // 2) for i in range(2000)] if grouped else None
    tracemalloc.start()
    paired_interval(differences, alpha=0.05, clusters=clusters)
    permutation_p(differences, clusters=clusters)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


@pytest.mark.parametrize("resamples", [50, 10_000])
def test_one_interval_is_the_first_of_several_drawn_as_often(resamples):
    found = paired_interval(GRADED - 0.3, alpha=0.05, resamples=resamples, seed=3)
    assert (found,) == paired_intervals(GRADED - 0.3, alphas=(0.05,), resamples=resamples, seed=3)
    assert (found == paired_interval(GRADED - 0.3, alpha=0.05, seed=3)) == (resamples == 10_000)


@pytest.mark.parametrize(("alpha", "place"), [(0.05, 190), (0.1, 180), (0.001, 199)])
def test_the_half_width_is_the_quantile_of_how_far_resamples_miss_in_their_own_errors(alpha, place):
    d = GRADED - 0.3
    drawn = d[np.random.default_rng(7).integers(0, 80, (199, 80), dtype=np.int32)]
    misses = np.abs(drawn.mean(axis=1) - d.mean()) / (drawn.std(axis=1, ddof=1) / math.sqrt(80))
    half = np.sort(misses)[place - 1] * d.std(ddof=1) / math.sqrt(80)
    found = paired_interval(d, alpha=alpha, resamples=199, seed=7)
    assert (found.low, found.high) == pytest.approx((d.mean() - half, d.mean() + half))


@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_where_many_resamples_have_no_spread_the_half_width_is_held_at_one_and_a_half_times_students(alpha):
    d = np.r_[np.zeros(9), 0.2]
    half = 1.5 * stats.t.isf(alpha / 2, 9) * d.std(ddof=1) / math.sqrt(10)
    found = paired_interval(d, alpha=alpha)
    assert (found.low, found.high) == pytest.approx((0.02 - half, 0.02 + half))


def test_two_cases_are_enough_for_an_interval_however_wide():
    found = paired_interval([0.10, 0.11], alpha=0.05)
    half = 1.5 * stats.t.isf(0.025, 1) * 0.005
    assert (found.low, found.high) == pytest.approx((0.105 - half, 0.105 + half))
