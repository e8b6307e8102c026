"""How many cases a difference needs, against published figures and against simulation."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from harness.stats.paired import mcnemar_exact, permutation_p
from harness.stats.power import (
    cases_for,
    cases_for_binary,
    detectable_difference,
    detectable_difference_binary,
)

# Connor 1987 at alpha .05 and power .8, as tabulated in the project's evidence base, part (e) 7.
DETECTABLE = {
    50: (None, 17.3, 21.2),
    100: (8.8, 12.4, 15.2),
    200: (6.2, 8.8, 10.8),
    300: (5.1, 7.2, 8.8),
    500: (4.0, 5.6, 6.8),
    1000: (2.8, 4.0, 4.8),
}
CASES = {
    2: (1960, 3922, 5884),
    3: (870, 1742, 2614),
    5: (312, 626, 940),
    8: (120, 243, 366),
    10: (76, 155, 233),
    15: (None, 67, 102),
}
DISCORDANCE = (0.1, 0.2, 0.3)


@pytest.mark.parametrize("n", DETECTABLE)
def test_detectable_differences_are_those_of_the_table(n):
    for discordance, points in zip(DISCORDANCE, DETECTABLE[n], strict=True):
        found = detectable_difference_binary(n, discordance=discordance)
        assert found is None if points is None else 100 * found == pytest.approx(points, abs=0.06)


@pytest.mark.parametrize("points", CASES)
def test_cases_needed_are_those_of_the_table(points):
    for discordance, n in zip(DISCORDANCE, CASES[points], strict=True):
        found = cases_for_binary(points / 100, discordance=discordance)
        # The table rounds, we round up.
        assert found is None if n is None else 0 <= found - n <= 1


def test_a_difference_cannot_exceed_the_discordance():
    assert cases_for_binary(0.11, discordance=0.1) is None
    # The table prints 10.0 for 50 cases, which is the discordance itself; showing even that takes 77.
    assert detectable_difference_binary(50, discordance=0.1) is None
    assert cases_for_binary(0.1, discordance=0.1) == 77


@pytest.mark.parametrize("discordance", [0.1, 0.2, 0.9])
@pytest.mark.parametrize("n", [150, 400, 5000])
def test_the_two_binary_questions_are_each_others_inverse(n, discordance):
    found = detectable_difference_binary(n, discordance=discordance)
    assert found is not None
    assert cases_for_binary(found, discordance=discordance) == n


@pytest.mark.parametrize(("n", "discordance", "power"), [(12, 0.9, 0.8), (30, 0.5, 0.55), (60, 0.3, 0.95)])
def test_connors_formula_holds_at_the_detectable_difference(n, discordance, power):
    d = detectable_difference_binary(n, discordance=discordance, power=power)
    z_a, z_b = NormalDist().inv_cdf(0.975), NormalDist().inv_cdf(power)
    root = z_a * math.sqrt(discordance) + z_b * math.sqrt(discordance - d * d)
    assert (root / d) ** 2 == pytest.approx(n, rel=1e-9)


def test_graded_scores_follow_the_formula():
    assert cases_for(0.05, sd=0.3) == 283
    assert detectable_difference(283, sd=0.3) == pytest.approx(0.05, abs=1e-4)
    assert cases_for(0.05, sd=0.0) == 2


@pytest.mark.parametrize(
    "call",
    [
        lambda: cases_for(0, sd=1),
        lambda: cases_for_binary(0, discordance=0.1),
        lambda: cases_for_binary(0.1, discordance=0),
        lambda: detectable_difference(0, sd=1),
        lambda: detectable_difference_binary(0, discordance=0.1),
        lambda: detectable_difference_binary(100, discordance=0),
    ],
)
def test_nothing_takes_no_number_of_cases(call):
    with pytest.raises(ValueError, match="must be above 0"):
        call()


@pytest.mark.parametrize(("n", "discordance"), [(600, 0.2), (900, 0.3)])
def test_mcnemar_finds_the_detectable_difference_as_often_as_promised(n, discordance):
    d = detectable_difference_binary(n, discordance=discordance)
    rng = np.random.default_rng(n)
    first = (discordance + d) / 2
    counts = rng.multinomial(n, [first, discordance - first, 1 - discordance], size=6000)
    assert np.mean([mcnemar_exact(a, b) < 0.05 for a, b, _ in counts]) == pytest.approx(0.8, abs=0.03)


def test_sign_flips_find_the_detectable_difference_as_often_as_promised():
    n, sd = 120, 0.3
    d = detectable_difference(n, sd=sd)
    samples = np.random.default_rng(1).normal(d, sd, (1500, n))
    assert np.mean([permutation_p(s, resamples=399) < 0.05 for s in samples]) == pytest.approx(0.8, abs=0.03)
