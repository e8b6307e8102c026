"""Cases and training seeds both vary: single tables first, then cover and size in simulation (fixed seeds)."""

import math

import numpy as np
import pytest
from scipy import stats

from harness.stats.paired import Interval, mean_interval, paired_intervals, permutation_p
from harness.stats.seeds import (
    mean_interval_with_seeds,
    p_with_seeds,
    paired_intervals_with_seeds,
    spread,
)

RUNS = 1000
RESAMPLES = 199


def table(rng, shape, *, seed_sd, case_sd=0.3, own_sd=0.2, mean=0.0):
    """Differences (seeds, cases) from crossed random effects, symmetric around `mean`."""
    seeds, cases = shape
    effects = rng.normal(0, seed_sd, (seeds, 1)) + rng.normal(0, case_sd, cases) + rng.normal(0, own_sd, shape)
    return mean + np.clip(effects, -1 + abs(mean), 1 - abs(mean))


def right_or_wrong(rng, shape, *, seed_sd):
    """A tuned arm, right with a chance that its seed and the case decide, against a fixed one as good on average."""
    seeds, cases = shape
    difficulty = rng.uniform(0.2, 0.8, cases)
    tuned = rng.random(shape) < difficulty + rng.normal(0, seed_sd, (seeds, 1))
    return tuned.astype(float) - (rng.random(cases) < difficulty)


ONE = table(np.random.default_rng(0), (3, 80), seed_sd=0.1, mean=0.1)


def test_the_parts_are_those_of_a_two_way_analysis_of_variance():
    found, (seeds, cases) = spread(ONE), ONE.shape
    rows, columns = ONE.mean(axis=1), ONE.mean(axis=0)
    rest = ONE - rows[:, None] - columns + ONE.mean()
    interaction = (rest**2).sum() / ((seeds - 1) * (cases - 1))
    assert found.case_error == pytest.approx(columns.std(ddof=1) / math.sqrt(cases))
    assert found.seed_error**2 * seeds == pytest.approx(rows.var(ddof=1) - interaction / cases)
    assert found.total_error == pytest.approx(math.hypot(found.case_error, found.seed_error))
    between = rows.var(ddof=1) / seeds
    total = found.total_error**4 / (found.case_error**4 / (cases - 1) + between**2 / (seeds - 1))
    assert found.df == pytest.approx(total)
    assert found.seeds == 3


def test_the_parts_are_right_on_average():
    rng = np.random.default_rng(1)
    tables = (table(rng, (4, 50), seed_sd=0.1, case_sd=0.2, own_sd=0.1) for _ in range(3000))
    found = [spread(one) for one in tables]
    assert np.mean([one.seed_error**2 for one in found]) == pytest.approx(0.1**2 / 4, rel=0.05)
    assert np.mean([one.case_error**2 for one in found]) == pytest.approx(0.2**2 / 50 + 0.1**2 / 200, rel=0.05)


def test_more_cases_lessen_the_cases_part_alone():
    few, many = (spread(table(np.random.default_rng(2), (3, n), seed_sd=0.2)) for n in (50, 5000))
    assert many.case_error < few.case_error / 5
    assert many.seed_error > 0.04
    assert many.df < 2.5


@pytest.mark.parametrize("clusters", [None, [str(i // 4) for i in range(80)]])
def test_one_seed_or_seeds_that_agree_are_as_if_there_were_no_seeds(clusters):
    for same in (ONE[:1], np.repeat(ONE[:1], 3, axis=0)):
        found = paired_intervals_with_seeds(same, alphas=(0.05, 0.1), clusters=clusters)
        assert found == paired_intervals(same.mean(axis=0), alphas=(0.05, 0.1), clusters=clusters)
        for drawn in ({}, {"seed": 1}, {"resamples": 50}):
            flips = permutation_p(same.mean(axis=0), clusters=clusters, **drawn)
            assert p_with_seeds(same, clusters=clusters, **drawn) == flips
        assert spread(same, clusters=clusters).seed_error == 0


def test_seeds_that_differ_by_less_than_chance_add_nothing():
    calm = ONE - ONE.mean(axis=1, keepdims=True)
    assert spread(calm).seed_error == 0
    assert spread(calm).df == 79
    assert paired_intervals_with_seeds(calm, alphas=(0.05,)) == paired_intervals(calm.mean(axis=0), alphas=(0.05,))


def test_seeds_that_differ_widen_the_interval_and_raise_p():
    (found,) = paired_intervals_with_seeds(ONE, alphas=(0.05,))
    (cases,) = paired_intervals(ONE.mean(axis=0), alphas=(0.05,))
    assert found.estimate == pytest.approx(cases.estimate)
    assert found.low < cases.low
    assert found.high > cases.high
    assert p_with_seeds(ONE) > permutation_p(ONE.mean(axis=0))
    assert p_with_seeds(ONE) == pytest.approx(p_with_seeds(-ONE)) == p_with_seeds(ONE[::-1])


def test_cases_that_all_move_with_the_seed_are_as_uncertain_as_the_seeds():
    moved = np.repeat([[0.0], [0.1], [0.2]], 40, axis=1)
    found = spread(moved)
    assert found.case_error == pytest.approx(0, abs=1e-9)
    assert found.df == pytest.approx(2)
    (interval,) = paired_intervals_with_seeds(moved, alphas=(0.05,))
    assert interval.high - interval.estimate == pytest.approx(4.303 * 0.1 / math.sqrt(3), rel=1e-3)
    assert p_with_seeds(moved) == pytest.approx(2 * 0.1127, abs=0.001)


def test_one_case_a_group_is_the_same_as_no_groups_and_repeating_cases_adds_nothing():
    names = [f"{i:03}" for i in range(80)]
    assert paired_intervals_with_seeds(ONE, alphas=(0.1,), clusters=names) == paired_intervals_with_seeds(
        ONE, alphas=(0.1,)
    )
    once, four = spread(ONE), spread(np.repeat(ONE, 4, axis=1), clusters=np.repeat(names, 4))
    assert four.case_error == pytest.approx(once.case_error)
    assert four.seed_error == pytest.approx(once.seed_error)


def test_an_arms_mean_stays_on_the_scale_and_keeps_wilson_where_seeds_agree():
    same = np.repeat([[1.0] * 30 + [0.0] * 10], 3, axis=0)
    assert mean_interval_with_seeds(same, alpha=0.05, right_or_wrong=True) == mean_interval(
        same[0], alpha=0.05, right_or_wrong=True
    )
    high = np.array([[1.0] * 39 + [0.9], [0.7] * 40, [1.0] * 40])
    found = mean_interval_with_seeds(high, alpha=0.05, right_or_wrong=False)
    assert found.high == 1
    assert found.low < 0.75


def test_nothing_can_be_said_of_a_single_case_or_of_none():
    assert paired_intervals_with_seeds([[0.3], [0.1]], alphas=(0.05,)) == (Interval(0.2, -1, 1),)
    single = spread([[0.3], [0.1]])
    assert all(math.isnan(one) for one in (single.case_error, single.seed_error, single.total_error, single.df))
    assert spread([[0.3], [0.1]]).seeds == 2
    assert spread([[0.3, 0.1], [0.1, 0.0]]).case_error == pytest.approx(0.075)
    assert math.isnan(p_with_seeds(np.empty((3, 0))))
    assert math.isnan(p_with_seeds([[0.1, math.nan], [0.1, 0.2]]))
    with pytest.raises(ValueError, match="a row a seed"):
        spread([0.1, 0.2])


@pytest.mark.parametrize("n", [60, 200])
@pytest.mark.parametrize("seed_sd", [0.0, 0.02, 0.05])
def test_three_seeds_give_95_percent_intervals_that_cover_93_to_98_percent(n, seed_sd):
    rng = np.random.default_rng(n)
    tables = [table(rng, (3, n), seed_sd=seed_sd) for _ in range(RUNS)]
    found = [paired_intervals_with_seeds(d, alphas=(0.05,), resamples=RESAMPLES)[0] for d in tables]
    # Above 97 % where the seeds' variance is large: two degrees of freedom leave no better than cautious.
    assert 0.93 <= np.mean([one.low <= 0 <= one.high for one in found]) <= (0.98 if seed_sd else 0.97)


def test_ignoring_seeds_that_differ_would_cover_far_less():
    rng = np.random.default_rng(5)
    tables = [table(rng, (3, 200), seed_sd=0.05) for _ in range(RUNS // 2)]
    found = [paired_intervals(d.mean(axis=0), alphas=(0.05,), resamples=RESAMPLES)[0] for d in tables]
    assert np.mean([one.low <= 0 <= one.high for one in found]) < 0.85


@pytest.mark.parametrize("seed_sd", [0.0, 0.05])
def test_intervals_of_right_or_wrong_answers_cover_too(seed_sd):
    rng = np.random.default_rng(6)
    tables = [right_or_wrong(rng, (3, 100), seed_sd=seed_sd) for _ in range(RUNS)]
    found = [paired_intervals_with_seeds(d, alphas=(0.05,), resamples=RESAMPLES)[0] for d in tables]
    assert 0.93 <= np.mean([one.low <= 0 <= one.high for one in found]) <= 0.98


@pytest.mark.parametrize("seed_sd", [0.0, 0.05])
def test_intervals_of_grouped_cases_cover_too(seed_sd):
    rng, names = np.random.default_rng(7), np.repeat(np.arange(30), 4).astype(str)
    covers = []
    for _ in range(RUNS):
        d = rng.normal(0, seed_sd, (3, 1)) + np.repeat(rng.normal(0, 0.2, (1, 30)), 4, axis=1)
        d = d + np.repeat(rng.normal(0, 0.1, (3, 30)), 4, axis=1) + rng.normal(0, 0.2, (3, 120))
        (found,) = paired_intervals_with_seeds(d, alphas=(0.05,), resamples=RESAMPLES, clusters=names)
        covers.append(found.low <= 0 <= found.high)
    assert 0.93 <= np.mean(covers) <= 0.98


@pytest.mark.parametrize("seed_sd", [0.0, 0.02, 0.05])
def test_equal_arms_are_significant_in_5_percent_of_runs_at_most(seed_sd):
    rng = np.random.default_rng(8)
    for draw, n in ((table, 60), (table, 200), (right_or_wrong, 100)):
        p = [p_with_seeds(draw(rng, (3, n), seed_sd=seed_sd), resamples=RESAMPLES) for _ in range(RUNS)]
        # 5 % and two standard errors of the simulation.
        assert np.mean(np.array(p) < 0.05) <= 0.064


def test_intervals_of_one_tuned_arms_mean_cover():
    rng, covers = np.random.default_rng(9), []
    for _ in range(RUNS):
        chance = np.clip(rng.uniform(0.4, 1.0, 100) + rng.normal(0, 0.04, (3, 1)), 0, 1)
        scores = (rng.random((3, 100)) < chance).astype(float)
        found = mean_interval_with_seeds(scores, alpha=0.05, right_or_wrong=True, resamples=RESAMPLES)
        covers.append(found.low <= 0.6993 <= found.high)
    assert 0.93 <= np.mean(covers) <= 0.985


NAMES = [f"{i // 3:03}" for i in range(80)]
SCORES = np.clip(table(np.random.default_rng(12), (3, 80), seed_sd=0.15, case_sd=0.1, own_sd=0.1, mean=0.5), 0, 1)


def test_a_single_seed_gives_the_mean_interval_drawn_as_asked():
    for arguments in ({}, {"seed": 1}, {"resamples": 50}, {"clusters": NAMES}):
        found = mean_interval_with_seeds(SCORES[:1], alpha=0.05, right_or_wrong=False, **arguments)
        assert found == mean_interval(SCORES[0], alpha=0.05, right_or_wrong=False, **arguments)


@pytest.mark.parametrize("clusters", [None, NAMES])
def test_an_arms_interval_is_that_of_its_difference_to_nothing(clusters):
    assert spread(SCORES, clusters=clusters).seed_error > 0
    for arguments in ({}, {"seed": 1}, {"resamples": 50}):
        found = mean_interval_with_seeds(SCORES, alpha=0.05, right_or_wrong=False, clusters=clusters, **arguments)
        (same,) = paired_intervals_with_seeds(SCORES, alphas=(0.05,), clusters=clusters, **arguments)
        assert (found.estimate, found.low, found.high) == pytest.approx((same.estimate, same.low, same.high))


@pytest.mark.parametrize("cases", [6, 40])
def test_at_p_both_parts_reaches_in_quadrature_meet_the_mean(cases):
    d = table(np.random.default_rng(4), (3, cases), seed_sd=0.2, case_sd=0.05, own_sd=0.05, mean=0.3)
    found, p = spread(d), p_with_seeds(d)
    assert p > 2 * stats.t.sf(abs(d.mean()) / found.total_error, found.df)
    reaches = stats.t.isf(p / 2, cases - 1) * found.case_error, stats.t.isf(p / 2, 2) * found.seed_error
    assert math.hypot(*reaches) == pytest.approx(abs(d.mean()))


def test_a_mean_beyond_the_reach_of_any_p_leaves_the_sign_flips():
    nearly = np.repeat(0.5 + np.array([[0.0], [1e-8], [2e-8]]), 40, axis=1)
    assert spread(nearly).seed_error > 0
    assert p_with_seeds(nearly) == permutation_p(nearly[0]) == 1 / 10_001


@pytest.mark.parametrize("clusters", [None, NAMES])
def test_the_interval_reaches_as_far_as_students_t_and_as_both_parts_in_quadrature(clusters):
    for d in (table(np.random.default_rng(s), (3, 80), seed_sd=0.1, case_sd=0.2, own_sd=0.05) for s in range(8)):
        found = spread(d, clusters=clusters)
        (both,) = paired_intervals_with_seeds(d, alphas=(0.05,), clusters=clusters)
        (cases,) = paired_intervals(d.mean(axis=0), alphas=(0.05,), clusters=clusters)
        if not found.seed_error:
            assert both == cases
            continue
        of_cases = (cases.high - cases.estimate) / found.case_error
        half = max(
            of_cases * found.total_error,
            stats.t.isf(0.025, found.df) * found.total_error,
            math.hypot(of_cases * found.case_error, stats.t.isf(0.025, 2) * found.seed_error),
        )
        assert (both.low, both.high) == pytest.approx((both.estimate - half, both.estimate + half))


@pytest.mark.parametrize("draw", [52, 53, 57])
def test_where_the_seeds_spread_hardly_shows_few_degrees_of_freedom_widen_the_interval_and_raise_p(draw):
    """Student's t with the effective degrees of freedom is then more than the reach in quadrature."""
    d = table(np.random.default_rng(draw), (3, 20), seed_sd=0.02, case_sd=0.3, own_sd=0.3, mean=0.1)
    found = spread(d)
    (both,) = paired_intervals_with_seeds(d, alphas=(0.05,), resamples=2_000)
    (cases,) = paired_intervals(d.mean(axis=0), alphas=(0.05,), resamples=2_000)
    of_cases = (cases.high - cases.estimate) / found.case_error
    half = stats.t.isf(0.025, found.df) * found.total_error
    assert half > math.hypot(of_cases * found.case_error, stats.t.isf(0.025, 2) * found.seed_error)
    assert half > of_cases * found.total_error
    assert (both.low, both.high) == pytest.approx((both.estimate - half, both.estimate + half))
    p = 2 * stats.t.sf(abs(d.mean()) / found.total_error, found.df)
    assert p_with_seeds(d, resamples=2_000) == pytest.approx(p)


def test_p_takes_the_sign_flips_where_few_cases_cannot_say_more_and_keeps_groups_together():
    d = table(np.random.default_rng(1), (3, 6), seed_sd=0.2, case_sd=0.05, own_sd=0.05, mean=0.3)
    assert spread(d).seed_error > 0
    assert p_with_seeds(d) == permutation_p(d.mean(axis=0))
    d = table(np.random.default_rng(4), (3, 40), seed_sd=0.1, case_sd=0.3, own_sd=0.05, mean=0.15)
    names = np.repeat([f"{i:02}" for i in range(40)], 4)
    assert p_with_seeds(np.repeat(d, 4, axis=1), clusters=names) == pytest.approx(p_with_seeds(d), rel=1e-6)
