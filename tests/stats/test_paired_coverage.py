"""What the statistics promise, kept in simulation: cover of the intervals, size of the tests.

Seeds are fixed, so a test that passes keeps passing. With 4,000 to 8,000 runs a case all of the two-sided covers below
lay between 94.4 and 96.4 % at 60 cases and more.
"""

import numpy as np
import pytest

from harness.stats.paired import mcnemar_exact, mean_interval, paired_interval, paired_intervals, permutation_p

RUNS = 1000
RESAMPLES = 399


def binary(first_only, second_only):
    """Differences of two right/wrong arms."""

    def draw(rng, shape):
        return rng.choice([1.0, -1.0, 0.0], shape, p=[first_only, second_only, 1 - first_only - second_only])

    return draw, first_only - second_only


def graded(rng, shape):
    """Two F1-like scores: many zeros and ones, related through the difficulty of the case."""
    difficulty = rng.normal(size=shape)
    first, second = (np.clip(0.4 + 0.3 * difficulty + rng.normal(0, 0.4, shape), 0, 1) for _ in range(2))
    return first - second


def sometimes(rng, shape):
    """Arms that give the same answer three times in four."""
    return (rng.random(shape) < 0.25) * rng.uniform(-1, 1, shape)


def only_better(rng, shape):
    """The one arm is better on half of the cases and worse on none, as against the control."""
    return (rng.random(shape) < 0.5) * rng.beta(1, 3, shape)


DRAWS = {
    "binary, discordance .2": binary(0.1, 0.1),
    "binary, discordance .2, a lead": binary(0.15, 0.05),
    "binary, discordance .5, a large lead": binary(0.4, 0.1),
    "graded": (graded, 0.0),
    "graded, mostly the same": (sometimes, 0.0),
    "graded, only better": (only_better, 0.125),
}


def cover(samples, truth, interval):
    found = [interval(sample) for sample in samples]
    return np.mean([one.low - 1e-12 <= truth <= one.high + 1e-12 for one in found])


@pytest.mark.parametrize("n", [60, 100, 300])
@pytest.mark.parametrize("name", DRAWS)
def test_95_percent_paired_intervals_cover_93_to_97_percent(name, n):
    draw, truth = DRAWS[name]
    samples = draw(np.random.default_rng(n), (RUNS, n))
    assert 0.93 <= cover(samples, truth, lambda d: paired_interval(d, alpha=0.05, resamples=RESAMPLES)) <= 0.97


@pytest.mark.parametrize("n", [60, 300])
def test_arms_that_seldom_differ_get_an_interval_that_is_wide_rather_than_wrong(n):
    draw, truth = binary(0.03, 0.03)
    samples = draw(np.random.default_rng(n), (RUNS, n))
    assert cover(samples, truth, lambda d: paired_interval(d, alpha=0.05, resamples=RESAMPLES)) >= 0.93


@pytest.mark.parametrize(("clusters", "rho"), [(20, 0.3), (20, 0.8), (50, 0.5)])
def test_intervals_of_grouped_cases_cover_93_to_97_percent(clusters, rho):
    rng = np.random.default_rng(clusters)
    sizes = rng.integers(1, 8, (RUNS, clusters))

    def covers(sizes_of_run):
        names = np.repeat(np.arange(clusters), sizes_of_run).astype(str)
        shared = np.repeat(rng.normal(size=clusters), sizes_of_run)
        own = rng.normal(size=len(names))
        sample = np.tanh(0.4 * (rho**0.5 * shared + (1 - rho) ** 0.5 * own))
        found = paired_interval(sample, alpha=0.05, resamples=RESAMPLES, clusters=names)
        return found.low <= 0 <= found.high

    assert 0.93 <= np.mean([covers(row) for row in sizes]) <= 0.97


@pytest.mark.parametrize("n", [60, 100, 300])
def test_intervals_of_one_arms_mean_cover_93_to_97_percent(n):
    rng = np.random.default_rng(n)
    right = rng.random((RUNS, n)) < 0.7
    low_scores = (rng.random((RUNS, n)) < 0.5) * rng.beta(1, 3, (RUNS, n))
    for samples, truth, right_or_wrong in ((right, 0.7, True), (low_scores, 0.125, False)):

        def interval(sample, right_or_wrong=right_or_wrong):
            return mean_interval(sample, alpha=0.05, resamples=RESAMPLES, right_or_wrong=right_or_wrong)

        assert 0.93 <= cover(samples, truth, interval) <= 0.97


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("binary, discordance .2", 0.065),
        ("graded", 0.06),
        ("graded, mostly the same", 0.06),
        # A lead that is all on one side has a long upper tail, which a symmetric interval cuts a little short.
        ("graded, only better", 0.08),
    ],
)
def test_the_one_sided_bound_behind_no_better_than_is_broken_in_about_5_percent(name, most):
    draw, truth = DRAWS[name]
    samples = draw(np.random.default_rng(8), (RUNS, 100))
    bounds = [paired_intervals(d, alphas=(0.05, 0.10), resamples=RESAMPLES)[1].high for d in samples]
    assert np.mean(np.array(bounds) < truth) <= most


def test_tests_of_equal_arms_are_significant_in_5_percent_of_runs_at_most():
    rng = np.random.default_rng(3)
    draw, _ = binary(0.15, 0.15)
    counts = [((d > 0).sum(), (d < 0).sum()) for d in draw(rng, (RUNS, 80))]
    assert np.mean([mcnemar_exact(*pair) < 0.05 for pair in counts]) <= 0.05
    for sample in (graded, sometimes):
        p = [permutation_p(d, resamples=RESAMPLES) for d in sample(rng, (RUNS, 60))]
        assert 0.035 <= np.mean(np.array(p) < 0.05) <= 0.06


def test_flipping_groups_together_keeps_the_size_where_flipping_cases_loses_it():
    rng = np.random.default_rng(4)
    names = np.repeat(np.arange(20), 5).astype(str)
    samples = np.repeat(rng.normal(size=(RUNS // 2, 20)), 5, axis=1) / 5
    grouped = [permutation_p(d, resamples=RESAMPLES, clusters=names) for d in samples]
    alone = [permutation_p(d, resamples=RESAMPLES) for d in samples]
    assert np.mean(np.array(grouped) < 0.05) <= 0.065
    assert np.mean(np.array(alone) < 0.05) > 0.3
