"""Early stopping: what evidence is on single samples, then how often it errs and how early it stops (fixed seeds)."""

import math
from itertools import pairwise

import numpy as np
import pytest

from harness.stats.sequential import STAKES, anytime_p, e_process, stopped

RUNS = 400
SHARD, MOST = 20, 300


def right(rng, shape, chance):
    return (rng.random(shape) < chance).astype(float)


def skewed(rng, shape):
    """Graded scores: mostly zero, seldom high. Their mean is 0.05."""
    return (rng.random(shape) < 0.1) * rng.beta(2, 2, shape)


def false_stops(draw, *, margin=0.0, arms=3, innocent=None, clusters=None):
    """Share of runs in which an arm that is not worse by more than the margin is stopped at any look."""
    rng, errors = np.random.default_rng(arms), 0
    for _ in range(RUNS):
        scores = {str(arm): draw(rng, arm) for arm in range(arms)}
        found = stopped(scores, margin=margin, alpha=0.05, pairs=arms * (arms - 1), clusters=clusters)
        errors += bool(set(found) & (innocent or set(found)))
    return errors / RUNS


def test_evidence_is_the_average_wealth_of_gamblers_with_fixed_stakes():
    d, m = np.array([0.5, -1.0, 1.0]), 0.1
    wealth = [np.mean([np.prod(1 + s / (1 + m) * (d[:i] - m)) for s in STAKES]) for i in (1, 2, 3)]
    assert e_process(d, margin=m) == pytest.approx(np.array(wealth))
    assert anytime_p(d, margin=m) == pytest.approx(min(1, 1 / max(wealth)))


def test_evidence_is_a_fair_game_at_the_margin():
    # All sequences of four right/wrong differences whose mean is the margin 0.2: P(+1) = 0.6.
    sequences = np.array(np.meshgrid(*[[1.0, -1.0]] * 4)).reshape(4, -1).T
    chances = np.where(sequences > 0, 0.6, 0.4).prod(axis=1)
    final = [e_process(row, margin=0.2)[-1] for row in sequences]
    assert chances @ final == pytest.approx(1)


def test_what_was_seen_does_not_change_with_what_comes():
    d = np.random.default_rng(0).uniform(-1, 1, 60)
    names = [str(i // 7) for i in range(60)]
    assert e_process(d[:40]) == pytest.approx(e_process(d)[:40])
    assert e_process(d[:42], clusters=names[:42]) == pytest.approx(e_process(d, clusters=names)[:6])
    p = [anytime_p(d[:n]) for n in range(60)]
    assert all(after <= before for before, after in pairwise(p))


def test_a_group_is_one_bet_on_the_share_of_the_largest():
    found = e_process([0.5, 0.1, 0.3, 0.2], clusters=["b", "a", "b", "a"], margin=0.1, largest=4)
    assert found == pytest.approx(e_process([0.6 / 4 + 0.1, 0.1 / 4 + 0.1], margin=0.1))
    alone = e_process([0.5, -0.1], clusters=["b", "a"])
    assert alone == pytest.approx(e_process([0.5, -0.1]))
    assert e_process([1, 1, 1], clusters=["a", "b", "b"])[0] == pytest.approx(e_process([1])[0])


def test_anytime_p_counts_groups_as_the_evidence_does_and_no_margin_is_usual():
    d, names = [0.9, 0.8, 0.7, 0.9, 1.0, 0.8], ["b", "a", "b", "a", "c", "c"]
    for largest in (None, 2, 5):
        evidence = e_process(d, clusters=names, largest=largest)
        assert anytime_p(d, clusters=names, largest=largest) == pytest.approx(1 / evidence.max())
    assert len({anytime_p(d, clusters=names, largest=largest) for largest in (2, 5)} | {anytime_p(d)}) == 3
    assert e_process(d) == pytest.approx(e_process(d, margin=0.0))


def test_overwhelming_evidence_stays_a_number():
    found = e_process(np.ones(5000))
    assert np.isfinite(found).all()
    assert 0 < anytime_p(np.ones(5000)) < 1e-300
    assert anytime_p(-np.ones(5000)) == 1


def test_no_case_is_no_evidence():
    assert e_process([]).shape == (0,)
    assert anytime_p([]) == 1
    assert stopped({"a": [], "b": []}, margin=0, alpha=0.05, pairs=2) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"differences": [1.2]}, r"^differences must lie in -1\.\.1$"),
        ({"differences": [math.nan]}, r"^differences must lie in -1\.\.1$"),
        ({"differences": [0.1], "margin": -0.1}, "margin lies in 0..1"),
        ({"differences": [0.1], "margin": 1.01}, "margin lies in 0..1"),
        ({"differences": [0.1], "clusters": []}, "1 values, 0 clusters"),
        ({"differences": [0.1, 0.2], "clusters": ["a", "a"], "largest": 1}, "a group has 2 cases"),
    ],
)
def test_what_would_break_the_promise_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        e_process(**arguments)
    assert e_process([1.0], margin=1.0) == pytest.approx([1.0])
    with pytest.raises(ValueError, match=r"^every arm needs a score on the same cases$"):
        stopped({"a": [1.0], "b": []}, margin=0, alpha=0.05, pairs=2)


def test_the_arm_that_leads_stops_those_that_are_far_behind_and_no_other():
    scores = {"bad": np.zeros(100), "good": np.ones(100), "near": np.r_[np.ones(98), 0, 0], "worst": np.zeros(100)}
    found = stopped(scores, margin=0.05, alpha=0.05, pairs=12)
    assert set(found) == {"bad", "worst"}
    assert set(found.values()) <= {"good", "near"}


def test_arms_that_take_turns_never_stop_each_other():
    first = np.r_[np.ones(60), np.zeros(300)]
    assert stopped({"a": first, "b": 1 - first}, margin=0, alpha=0.05, pairs=2) == {"b": "a"}
    assert stopped({"b": 1 - first, "a": first}, margin=0, alpha=0.05, pairs=2) == {"b": "a"}


def test_equal_arms_are_seldom_stopped_at_any_look():
    assert false_stops(lambda rng, arm: right(rng, MOST, 0.5), arms=4) <= 0.05
    assert false_stops(lambda rng, arm: skewed(rng, MOST)) <= 0.05


def test_an_arm_that_is_worse_by_just_the_margin_is_seldom_stopped():
    def draw(rng, arm):
        return right(rng, MOST, 0.7 if arm else 0.6)

    assert false_stops(draw, margin=0.1) <= 0.05
    assert false_stops(lambda rng, arm: 0.1 * (arm > 0) + 0.9 * skewed(rng, MOST), margin=0.1) <= 0.05


def test_groups_that_move_together_do_not_look_like_evidence():
    sizes = np.random.default_rng(0).integers(1, 9, 60)
    names = np.repeat(np.arange(60), sizes).astype(str)

    def draw(rng, arm):
        return np.repeat(right(rng, 60, 0.5), sizes)

    assert false_stops(draw, clusters=names) <= 0.05
    assert false_stops(draw) > 0.15


def looks_until_stopped(rng, chances, *, margin):
    """Cases seen when the last of the worse arms is stopped, looking after each shard as a run does."""
    scores = {str(arm): right(rng, MOST, chance) for arm, chance in enumerate(chances)}
    pairs, running = len(chances) * (len(chances) - 1), dict(scores)
    for seen in range(SHARD, MOST + 1, SHARD):
        so_far = {arm: column[:seen] for arm, column in running.items()}
        for arm in stopped(so_far, margin=margin, alpha=0.05, pairs=pairs):
            del running[arm]
        if len(running) == 1:
            return seen
    return MOST + 1


def test_a_large_gap_is_seen_early():
    rng = np.random.default_rng(1)
    seen = [looks_until_stopped(rng, (0.3, 0.8), margin=0.05) for _ in range(200)]
    assert np.median(seen) <= 60
    assert np.mean(np.array(seen) <= 120) >= 0.95
    of_three = [looks_until_stopped(rng, (0.8, 0.3, 0.3), margin=0.05) for _ in range(100)]
    assert np.median(of_three) <= 80


def test_a_gap_of_fifteen_points_is_often_seen_before_three_hundred_cases():
    rng = np.random.default_rng(2)
    seen = np.array([looks_until_stopped(rng, (0.6, 0.8), margin=0.0) for _ in range(100)])
    assert np.mean(seen <= MOST) >= 0.8


def test_of_arms_that_show_it_at_the_same_case_the_one_with_the_most_evidence_is_named():
    scores = {"a": np.r_[np.ones(20), np.full(40, 0.7)], "b": np.ones(60), "worst": np.zeros(60)}
    assert stopped(scores, margin=0.05, alpha=0.05, pairs=6)["worst"] == "b"


def test_where_larger_groups_are_still_to_come_a_group_counts_less():
    scores = {"good": np.ones(24), "bad": np.zeros(24)}
    names = [str(i // 2) for i in range(24)]
    assert stopped(scores, margin=0.05, alpha=0.05, pairs=2, clusters=names, largest=2) == {"bad": "good"}
    assert stopped(scores, margin=0.05, alpha=0.05, pairs=2, clusters=names, largest=12) == {}
