"""Agreement of labels."""

import math

import numpy as np
import pytest

from harness.stats.agreement import agreeing_pairs, agreement_rate, cohen_kappa
from harness.stats.paired import mean_interval


@pytest.mark.parametrize(
    ("first", "second", "kappa"),
    [
        # Cohen's kappa by hand: agreement .7, by chance .5.
        ("yyyyynnnnn", "yyyynyynnn", 0.4),
        ("ab", "ab", 1),
        ("ab", "ba", -1),
        ("aabb", "abab", 0),
        ("aaaa", "bbbb", 0),
        ("aaaa", "aaab", 0),
    ],
)
def test_kappa_is_agreement_beyond_chance(first, second, kappa):
    assert cohen_kappa(list(first), list(second)) == pytest.approx(kappa)
    assert cohen_kappa(list(second), list(first)) == pytest.approx(kappa)


def test_kappa_says_nothing_of_a_single_label_or_of_no_case():
    assert math.isnan(cohen_kappa(["a"] * 5, ["a"] * 5))
    assert math.isnan(cohen_kappa([], []))
    with pytest.raises(ValueError, match="1 and 2"):
        cohen_kappa(["a"], ["a", "b"])


def test_pairs_that_agree_are_counted_within_a_case():
    found = agreeing_pairs([["a", "a", "a"], ["a", "a", "b"], ["a", "b", "c"], ["a", "a", "b", "b"], ["a"], []])
    assert found == pytest.approx([1, 1 / 3, 0, 1 / 3, math.nan, math.nan], nan_ok=True)


def test_the_rate_is_the_mean_over_cases_with_its_interval():
    answers = [["a", "a", "a"]] * 20 + [["a", "a", "b"]] * 10
    shares = np.r_[np.ones(20), np.full(10, 1 / 3)]
    assert agreement_rate(answers) == mean_interval(shares, alpha=0.05, right_or_wrong=False)


def test_two_wordings_get_wilsons_interval():
    answers = [["a", "a"]] * 20 + [["a", "b"]] * 10
    assert agreement_rate(answers, alpha=0.1) == mean_interval([1] * 20 + [0] * 10, alpha=0.1, right_or_wrong=True)


def test_cases_with_one_answer_say_nothing():
    answers, names = [["a", "a", "b"], ["a"], ["b", "b", "b"], ["a", "b", "c"]] * 5, [str(i // 4) for i in range(20)]
    kept = [i for i in range(20) if i % 4 != 1]
    assert agreement_rate(answers) == agreement_rate([answers[i] for i in kept])
    assert agreement_rate(answers, clusters=names) == agreement_rate(
        [answers[i] for i in kept], clusters=[names[i] for i in kept]
    )
    assert math.isnan(agreement_rate([["a"]]).estimate)


def test_repeating_cases_in_groups_adds_no_certainty():
    once = [["a", "a", "a"]] * 20 + [["a", "a", "b"]] * 10
    names = np.repeat(np.arange(30), 4).astype(str)
    four = agreement_rate([case for case in once for _ in range(4)], clusters=names)
    alone = agreement_rate(once)
    assert four.high - four.low == pytest.approx(alone.high - alone.low, rel=0.1)
    with pytest.raises(ValueError, match="30 cases, 120 clusters"):
        agreement_rate(once, clusters=names)


def test_the_interval_is_drawn_with_the_seed_and_as_often_as_asked():
    rng = np.random.default_rng(0)
    answers = [rng.choice(["a", "b"], rng.integers(3, 9)).tolist() for _ in range(30)]
    assert agreement_rate(answers) == agreement_rate(answers, resamples=10_000, seed=0)
    assert agreement_rate(answers, seed=1) != agreement_rate(answers, seed=2)
    assert agreement_rate(answers, resamples=50) != agreement_rate(answers, resamples=10_000)
