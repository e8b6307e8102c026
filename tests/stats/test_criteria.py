"""Several criteria, against closed forms."""

import math

import numpy as np
import pytest
from scipy import stats

from harness.stats.criteria import Reversal, Reversals, probability_best, rank_reversals


def certain(**points):
    """Values without uncertainty: one draw each."""
    return {name: np.array(values, dtype=float)[:, None] for name, values in points.items()}


CORNERS = certain(quality=[1, 0], speed=[0, 1])


def test_with_nothing_uncertain_one_arm_is_best():
    values = certain(quality=[0.9, 0.5, 0.1], speed=[0.2, 0.9, 1.0])
    assert probability_best(values, {"quality": 3, "speed": 1}, concentration=None).tolist() == [1, 0, 0]
    assert probability_best(values, {"quality": 1, "speed": 2}, concentration=None).tolist() == [0, 1, 0]


def test_ties_are_shared_evenly():
    values = certain(quality=[0.5, 0.5, 0.1], speed=[0.3, 0.3, 0.3])
    assert probability_best(values, {"quality": 1, "speed": 1}) == pytest.approx([0.5, 0.5, 0])


@pytest.mark.parametrize(("share", "concentration"), [(0.5, 20), (0.6, 20), (0.7, 5), (0.7, 0.5)])
def test_uncertain_weights_follow_the_beta_distribution(share, concentration):
    # The first arm is best where the weight of quality is above one half.
    found = probability_best(
        CORNERS, {"quality": 10 * share, "speed": 10 - 10 * share}, concentration=concentration, draws=40_000
    )
    expected = stats.beta.sf(0.5, concentration * share, concentration * (1 - share))
    assert found[0] == pytest.approx(expected, abs=0.01)
    assert found.sum() == pytest.approx(1)


def test_without_weights_all_are_equally_likely():
    # Weight w of quality is uniform; the second arm is best below 0.25.
    values = certain(quality=[1, 0], speed=[0, 1 / 3])
    assert probability_best(values, None, draws=40_000) == pytest.approx([0.75, 0.25], abs=0.01)
    three = certain(a=[1, 0, 0], b=[0, 1, 0], c=[0, 0, 1])
    assert probability_best(three, None, draws=40_000) == pytest.approx([1 / 3] * 3, abs=0.01)


def test_draws_of_values_are_joint_over_criteria_and_arms():
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 0.2, 4000)
    # The second arm is a little worse in every single draw, though both vary much.
    values = {"quality": np.stack([0.5 + shared, 0.49 + shared]), "cost": np.zeros((2, 4000))}
    assert probability_best(values, {"quality": 1, "cost": 1}).tolist() == [1, 0]
    apart = {"quality": np.stack([rng.normal(0.6, 0.1, 4000), rng.normal(0.5, 0.1, 4000)])}
    expected = stats.norm.cdf(0.1 / (0.1 * math.sqrt(2)))
    assert probability_best(apart, {"quality": 2}, draws=4000)[0] == pytest.approx(expected, abs=0.02)


def test_the_same_seed_gives_the_same_numbers():
    first, again, other = (probability_best(CORNERS, {"quality": 1, "speed": 1}, seed=seed)[0] for seed in (1, 1, 2))
    assert first == again != other


def test_a_concentration_of_20_ten_thousand_draws_and_seed_0_are_usual():
    weights = {"quality": 6, "speed": 4}
    usual = probability_best(CORNERS, weights, concentration=20.0, draws=10_000, seed=0)
    assert probability_best(CORNERS, weights).tolist() == usual.tolist()


def test_two_arms_change_places_where_their_lines_cross():
    # Totals w and (1 - w) / 2: they meet at a third.
    found = rank_reversals({"quality": [1, 0], "speed": [0, 0.5]}, {"quality": 3, "speed": 1})
    assert found["quality"] == Reversals(0.75, below=Reversal(pytest.approx(1 / 3), 1), above=None)
    assert found["speed"] == Reversals(0.25, below=None, above=Reversal(pytest.approx(2 / 3), 1))


def test_the_nearest_change_counts_on_each_side():
    # Of three lines the middle one is best between 0.4 and 0.6 / 0.9.
    points = {"quality": [1.0, 0.7, 0.1], "speed": [0.0, 0.6, 1.0]}
    found = rank_reversals(points, {"quality": 1, "speed": 1})["quality"]
    assert found.below == Reversal(pytest.approx(0.4), 2)
    assert found.above == Reversal(pytest.approx(0.6 / 0.9), 0)


def test_the_other_weights_keep_their_proportions():
    points = {"a": [0.0, 1.0], "b": [1.0, 0.0], "c": [0.5, 0.1]}
    found = rank_reversals(points, {"a": 1, "b": 2, "c": 1})
    # Without a: (2 x 1 + 0.5) / 3 against 0.1 / 3; the lines meet at 0.8 / 1.8.
    assert found["a"].above == Reversal(pytest.approx(0.8 / 1.8), 1)
    assert found["a"].below is None
    assert found["b"].above is None


def test_at_a_reversal_totals_are_equal_and_beyond_it_the_other_arm_is_best():
    rng = np.random.default_rng(1)
    for _ in range(200):
        table, weights = rng.random((4, 5)), rng.uniform(0.1, 3, 4)
        points, names = dict(zip("abcd", table, strict=True)), dict(zip("abcd", weights, strict=True))
        best = int((weights @ table).argmax())
        for row, name in enumerate("abcd"):
            found = rank_reversals(points, names)[name]
            for side, change in ((-1, found.below), (1, found.above)):
                end = change.weight if change else (0.0 if side < 0 else 1.0)

                def total(weight, row=row, weights=weights, table=table):
                    others = np.where(np.arange(4) == row, 0, weights)
                    return weight * table[row] + (1 - weight) * (others @ table) / others.sum()

                assert total(end - side * 1e-6).argmax() == best
                if change:
                    assert 0 < change.weight < 1
                    assert total(end)[change.arm] == pytest.approx(total(end)[best])
                    assert total(end + side * 1e-6).argmax() == change.arm


def test_an_arm_that_is_best_at_everything_stays_best():
    found = rank_reversals({"a": [0.9, 0.2], "b": [0.8, 0.8]}, {"a": 1, "b": 1})
    # At no weight on a the arms are level, which is no change.
    assert found["a"] == Reversals(0.5, None, None)
    assert rank_reversals({"a": [0.1, 0.9]}, {"a": 2}) == {"a": Reversals(1.0, None, None)}


def test_of_equal_arms_the_first_is_best_until_the_other_overtakes_at_once():
    found = rank_reversals({"a": [1, 0], "b": [0, 1]}, {"a": 1, "b": 1})
    assert found["a"] == Reversals(0.5, below=Reversal(0.5, 1), above=None)
    same = rank_reversals({"a": [0.5, 0.5], "b": [0.5, 0.5]}, {"a": 1, "b": 1})
    assert same["a"] == Reversals(0.5, None, None)


@pytest.mark.parametrize(
    ("values", "weights", "arguments", "message"),
    [
        (CORNERS, {"quality": 1}, {}, "weights of"),
        (CORNERS, {"quality": 1, "speed": 0}, {}, "^weights must be above 0$"),
        (CORNERS, {"quality": 1, "speed": 1}, {"concentration": 0}, "concentration must be above 0"),
        ({"quality": [[1], [math.nan]]}, {"quality": 1}, {}, "^a value is not a number$"),
        ({"quality": [1, 0]}, {"quality": 1}, {}, "2 dimensions"),
        ({"quality": np.empty((2, 0))}, {"quality": 1}, {}, "2 dimensions"),
        ({"quality": [[1], [0]], "speed": [[1]]}, {"quality": 1, "speed": 1}, {}, "all of one shape"),
        ({}, {}, {}, "all of one shape"),
    ],
)
def test_input_that_makes_no_sense_is_refused(values, weights, arguments, message):
    with pytest.raises(ValueError, match=message):
        probability_best(values, weights, **arguments)
