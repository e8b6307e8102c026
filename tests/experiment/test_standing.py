"""Criteria: what is uncertain is drawn again, what was not measured is left out."""

import numpy as np
import pytest

from harness.experiment.criteria import DRAWS, DrawnAgain
from harness.stats.criteria import probability_best


def test_a_small_lead_in_freshness_is_no_certainty():
    fresh = np.array([[1.0] * 7 + [0.0] * 3, [1.0] * 6 + [0.0] * 4])
    fresh[1, 0], fresh[1, 7] = 0.0, 1.0
    drawn = DrawnAgain(10, 1, None).means(fresh)
    assert drawn.shape == (2, DRAWS)
    equal = np.full((2, DRAWS), 0.5)
    chances = probability_best(
        {"quality": equal, "freshness": drawn},
        {"quality": 1.0, "freshness": 1.0},
        concentration=20.0,
        draws=DRAWS,
        seed=1,
    )
    assert chances[0] == pytest.approx(0.65, abs=0.15)
