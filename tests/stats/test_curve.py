"""Learning curves: planted ones are found again, and the intervals are as honest as they say (fixed seeds)."""

import math

import numpy as np
import pytest
from scipy.special import ndtri

from harness.stats.curve import Curve, Needed, fit_curve

SIZES = (50, 100, 200, 400)
RUNS = 200


def law(size, *, ceiling=0.9, scale=1.5, rate=0.5):
    return ceiling - scale * np.asarray(size, dtype=float) ** -rate


def exact(sizes, **planted):
    """Every case has the score that the law gives."""
    return np.repeat(law(sizes, **planted)[:, None], 40, axis=1)


def right_or_wrong(rng, expected, *, n=100, seed_sd=0.0):
    """Answers on the same cases at each size: hard cases stay hard."""
    chance = np.asarray(expected) + rng.normal(0, seed_sd, len(expected))
    latent = math.sqrt(0.7) * rng.normal(size=n) + math.sqrt(0.3) * rng.normal(size=(len(chance), n))
    return (latent < ndtri(np.clip(chance, 1e-6, 1 - 1e-6))[:, None]).astype(float)


@pytest.mark.parametrize(
    "planted", [{}, {"ceiling": 0.8, "scale": 0.6, "rate": 0.2}, {"ceiling": 1.0, "scale": 3.0, "rate": 1.0}]
)
def test_a_planted_curve_is_found_again(planted):
    curve = fit_curve(SIZES, exact(SIZES, **planted), resamples=20)
    for size in (100, 800, 1600):
        assert curve.score_at(size).estimate == pytest.approx(law(size, **planted), abs=0.003)
    gain = float(law(800, **planted) - law(400, **planted))
    assert curve.gain_at(800).estimate == pytest.approx(gain, abs=0.003)
    target = float(law(700, **planted))
    assert curve.size_to_reach(target).middle == pytest.approx(700, rel=0.1)


def test_the_closed_form_is_the_best_within_its_bounds():
    from scipy.optimize import lsq_linear

    rng = np.random.default_rng(0)
    for _ in range(20):
        means = np.clip(0.85 + 0.1 * np.arange(4) * rng.normal() + rng.normal(0, 0.05, 4), 0, 1)
        curve = fit_curve(SIZES, np.repeat(means[:, None], 2, axis=1), resamples=1)
        x = (np.array(SIZES) / 400) ** -curve.rates[0]
        best = lsq_linear(np.c_[np.ones(4), -x], means, bounds=([-np.inf, 0], [1, np.inf]))
        assert (curve.ceilings[0], curve.scales[0]) == pytest.approx(tuple(best.x), abs=1e-4)


def test_the_order_of_sizes_and_cases_does_not_matter():
    scores = right_or_wrong(np.random.default_rng(1), law(SIZES))
    found = fit_curve(SIZES, scores).score_at(800)
    turned = fit_curve(SIZES[::-1], scores[::-1, ::-1]).score_at(800)
    assert turned.estimate == pytest.approx(found.estimate)
    assert turned.high - turned.low == pytest.approx(found.high - found.low, rel=0.15)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    scores = right_or_wrong(np.random.default_rng(1), law(SIZES))
    first, again, other = (fit_curve(SIZES, scores, seed=seed).score_at(800) for seed in (1, 1, 2))
    assert first == again != other


def test_too_few_sizes_or_cases_give_no_curve():
    assert fit_curve((50, 100), np.ones((2, 30))) is None
    assert fit_curve((50, 100, 100), np.ones((3, 30))) is None
    assert fit_curve((50, 100, 200), np.ones((3, 1))) is None
    assert fit_curve((50, 100, 200), np.ones((3, 4)), clusters=["a"] * 4) is None


@pytest.mark.parametrize(
    ("sizes", "scores", "message"),
    [
        ((50, 100, 200), np.ones((2, 5)), "a row a size"),
        ((0, 100, 200), np.ones((3, 5)), "^sizes must be above 0 and scores numbers$"),
        ((50, 100, 200), np.full((3, 5), np.nan), "^sizes must be above 0 and scores numbers$"),
    ],
)
def test_input_that_makes_no_sense_is_refused(sizes, scores, message):
    with pytest.raises(ValueError, match=message):
        fit_curve(sizes, scores)


def test_uncertainty_grows_with_distance_with_groups_and_with_training_noise():
    rng = np.random.default_rng(2)
    scores = np.repeat(right_or_wrong(rng, law(SIZES), n=60), 3, axis=1)
    names = np.repeat(np.arange(60), 3).astype(str)

    def width(curve: Curve, size):
        found = curve.score_at(size)
        return found.high - found.low

    alone, grouped = fit_curve(SIZES, scores), fit_curve(SIZES, scores, clusters=names)
    noisy = fit_curve(SIZES, scores, seed_sd=0.05)
    assert width(alone, 400) < width(alone, 1600)
    assert width(grouped, 800) > 1.3 * width(alone, 800)
    assert width(noisy, 800) > 1.2 * width(alone, 800)
    narrow = alone.score_at(800, alpha=0.5)
    assert narrow.high - narrow.low < width(alone, 800)


def test_a_flat_curve_reaches_no_target_above_it():
    scores = right_or_wrong(np.random.default_rng(3), np.full(4, 0.6), n=300)
    needed = fit_curve(SIZES, scores).size_to_reach(0.8)
    assert needed.middle is None
    assert needed.high is None
    assert needed.share_reaching < 0.8
    flat = fit_curve(SIZES, np.full((4, 40), 0.6))
    assert flat.size_to_reach(0.8) == Needed(None, None, None, 0.0)


def test_a_falling_curve_is_taken_for_a_flat_one():
    curve = fit_curve(SIZES, exact(SIZES)[::-1], resamples=20)
    assert curve.gain_at(1600).estimate == 0
    assert curve.score_at(1600).estimate == pytest.approx(law(SIZES).mean())


def test_what_is_already_reached_takes_what_there_is():
    scores = exact(SIZES)
    assert fit_curve(SIZES, scores).size_to_reach(0.7) == Needed(400, 400, 400, 1.0)
    assert fit_curve(SIZES, np.full((4, 40), 0.6)).size_to_reach(0.5).middle == 400


def test_a_target_far_away_gets_no_number_though_every_refit_reaches_it():
    curve = fit_curve(SIZES, exact(SIZES), resamples=50)
    near, far, beyond = (curve.size_to_reach(float(law(size))) for size in (1500, 2400, 6400))
    assert near.middle is not None
    assert far.middle is None
    assert far.share_reaching == 1
    assert beyond.low is None


def test_the_number_of_examples_lies_within_its_interval():
    scores = right_or_wrong(np.random.default_rng(4), law(SIZES, scale=4.0), n=800)
    needed = fit_curve(SIZES, scores).size_to_reach(0.73)
    assert needed.middle is not None
    assert 400 <= needed.low <= needed.middle <= (needed.high or math.inf)
    assert needed.low < 554 < (needed.high or math.inf)


def test_scores_without_spread_are_not_taken_for_certainty():
    found = fit_curve(SIZES, np.ones((4, 30))).score_at(800)
    assert found.estimate == found.high == 1
    assert 0.85 < found.low < 0.95


@pytest.mark.parametrize("seed_sd", [0.0, 0.02])
@pytest.mark.parametrize(
    "planted",
    [
        {},
        {"ceiling": 0.8, "scale": 0.5, "rate": 0.2},
        {"ceiling": 0.7, "scale": 2.0, "rate": 0.7},
        {"ceiling": 1.0, "scale": 1.0, "rate": 0.3},
        {"ceiling": 0.6, "scale": 0.0},
    ],
)
def test_90_percent_intervals_at_twice_the_size_cover_85_percent_at_least(planted, seed_sd):
    rng, score, gain = np.random.default_rng(5), [], []
    now, then = float(law(400, **planted)), float(law(800, **planted))
    for _ in range(RUNS):
        scores = right_or_wrong(rng, law(SIZES, **planted), seed_sd=seed_sd)
        curve = fit_curve(SIZES, scores, resamples=200, seed_sd=seed_sd)
        at, more = curve.score_at(800), curve.gain_at(800)
        score.append(at.low <= then <= at.high)
        gain.append(more.low <= then - now <= more.high)
    assert np.mean(score) >= 0.85
    # A score that creeps towards 1 looks as if it had stopped.
    assert np.mean(gain) >= (0.7 if planted.get("ceiling") == 1.0 else 0.8)


def test_three_sizes_and_few_cases_cover_too():
    rng, sizes = np.random.default_rng(6), (50, 100, 200)
    curves = [fit_curve(sizes, right_or_wrong(rng, law(sizes), n=60), resamples=200) for _ in range(RUNS)]
    found = [curve.score_at(400) for curve in curves]
    assert np.mean([one.low <= law(400) <= one.high for one in found]) >= 0.85


def test_flat_curves_are_seldom_given_a_number():
    rng, named = np.random.default_rng(7), 0
    for _ in range(RUNS):
        curve = fit_curve(SIZES, right_or_wrong(rng, np.full(4, 0.6)), resamples=200)
        named += curve.size_to_reach(0.7).middle is not None
    assert named / RUNS <= 0.05


def reaching(fit, refits):
    """A curve of which each fit reaches a score of 0.9 at the size given; up to 100 examples were measured."""
    sizes = np.array([fit, *refits], dtype=float)
    return Curve(np.ones(len(sizes)), sizes / 1000, np.ones(len(sizes)), largest=100.0, units=50)


REFITS = (450, 110, 130, 150, 170, 190, 210, 230, 250, 270, 290)


@pytest.mark.parametrize(
    ("fit", "low", "high"), [(200, 170, 250), (120, 120, 250), (300, 170, 300)], ids=["between", "below", "above"]
)
def test_the_interval_of_the_size_is_the_refits_quantiles_and_holds_the_fits_own(fit, low, high):
    found = reaching(fit, REFITS).size_to_reach(0.9, alpha=0.6)
    assert found == Needed(low, fit, high, 1.0)


@pytest.mark.parametrize(("fit", "refits", "named"), [
    (200, [200] * 8 + [900] * 2, True),
    (200, [200] * 7 + [900] * 3, False),
    (390, [900] + [300] * 9, True),
    (410, [300] * 10, False),
])  # fmt: skip
def test_a_size_is_named_where_four_in_five_refits_reach_it_and_it_is_within_four_times_what_was_measured(
    fit, refits, named
):
    found = reaching(fit, refits).size_to_reach(0.9)
    assert found.middle == (fit if named else None)
    assert found.share_reaching == np.mean(np.array(refits) <= 800)


def test_a_ceiling_is_reached_by_a_flat_curve_and_never_by_a_rising_one():
    level = np.full(11, 0.6)
    flat, rising = (Curve(level, np.full(11, scale), np.ones(11), 100.0, 50) for scale in (0.0, 0.1))
    assert flat.size_to_reach(0.6) == Needed(100, 100, 100, 1.0)
    assert rising.size_to_reach(0.6) == Needed(None, None, None, 0.0)


@pytest.mark.parametrize(
    ("fit", "reach"), [(0.45, 0.25), (0.55, 0.25), (0.5, 0.2)], ids=["far above", "far below", "as far"]
)
def test_the_interval_of_a_score_reaches_as_far_as_the_further_of_the_refits_quantiles(fit, reach):
    ceilings = np.array([fit, *np.linspace(0.25, 0.75, 11)])
    flat = Curve(ceilings, np.zeros(12), np.ones(12), 100.0, 50)
    found = flat.score_at(200, alpha=0.2)
    assert (found.low, found.estimate, found.high) == pytest.approx((fit - reach, fit, fit + reach))


def test_no_score_is_told_of_a_size_of_nothing():
    with pytest.raises(ValueError, match="a size is above 0, got 0"):
        reaching(200, REFITS).score_at(0)


def test_five_hundred_refits_are_usual_and_one_example_is_a_size():
    curve = fit_curve((1, 2, 4), right_or_wrong(np.random.default_rng(1), [0.3, 0.5, 0.6]))
    assert len(curve.rates) == 1 + 500
    assert curve.largest == 4


def test_the_same_scores_give_the_numbers_that_they_gave_in_version_1():
    scores = right_or_wrong(np.random.default_rng(11), law(SIZES), n=80)
    curve = fit_curve(SIZES, scores, resamples=200, seed_sd=0.02)
    found = curve.score_at(800)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.819531936, 0.742244598, 0.896819274), abs=1e-6)
    gained = curve.gain_at(800)
    assert (gained.estimate, gained.low, gained.high) == pytest.approx(
        (0.001478819, -0.026316594, 0.029274233), abs=1e-6
    )
