"""Holm's adjustment."""

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from harness.stats.multiplicity import holm


@pytest.mark.parametrize(
    ("raw", "adjusted"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.5, 0.001], [0.5, 0.002]),
        ([0.9, 0.8], [1, 1]),
        ([math.nan, 0.01], [1, 0.02]),
        ([math.nan, math.nan], [1, 1]),
    ],
)
def test_holm_multiplies_the_smallest_p_by_the_number_of_tests_and_so_on(raw, adjusted):
    assert holm(raw) == pytest.approx(np.array(adjusted))


@pytest.mark.parametrize("tests", [1, 2, 6, 21])
def test_holm_is_that_of_statsmodels(tests):
    p = np.random.default_rng(tests).random(tests) ** 3
    p[: tests // 3] = p[-1]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
