"""Every pair of arms on the same cases."""

import msgspec
import pytest

from harness.errors import UserError
from harness.experiment.compare import compare_arms
from harness.experiment.score import CaseScore
from harness.records import Comparison, seen_from
from harness.scenario import Case, DecisionRule

RULE = DecisionRule(metric="accuracy", margin=0.05, resamples=999)


def cases(n, group=None):
    return [Case(str(i), "x", "y", group=group(i) if group else None) for i in range(n)]


def rows(arm, values, metric="accuracy", failed=()):
    return [CaseScore(str(i), arm, "a", i in failed, {metric: float(v)}) for i, v in enumerate(values)]


def compared(*, n, metric="accuracy", group=None, **values):
    every = [row for arm, own in values.items() for row in rows(arm, own, metric)]
    return compare_arms(every, cases(n, group), rule=RULE, metric=metric, arms=list(values))


def test_right_or_wrong_scores_are_tested_by_exact_mcnemar_with_discordant_counts():
    (found,) = compared(n=40, prompt=[1] * 20 + [0] * 20, rag=[1] * 18 + [0] * 2 + [1] * 10 + [0] * 10)
    assert found.method == "exact McNemar"
    assert (found.first_only, found.second_only) == (2, 10)
    assert found.p == found.p_adjusted == pytest.approx(0.0386, abs=1e-4)
    assert found.difference == pytest.approx(-0.2)
    assert found.low < found.low_equivalence < -0.2 < found.high_equivalence < found.high
    assert found.clusters is None


def test_graded_scores_are_tested_by_sign_flips():
    (found,) = compared(n=40, metric="chrf", prompt=[0.5] * 40, rag=[0.6, 0.7] * 20)
    assert found.method == "permutation"
    assert (found.first_only, found.second_only) == (None, None)
    assert found.p == 0.001
    assert found.difference == pytest.approx(-0.15)


def test_all_pairs_are_compared_control_included_and_holm_adjusts_over_all():
    right = {"dummy": [0] * 60, "prompt": [1] * 30 + [0] * 30, "rag": [1] * 36 + [0] * 24}
    found = compared(n=60, **right)
    assert [(one.first, one.second) for one in found] == [("dummy", "prompt"), ("dummy", "rag"), ("prompt", "rag")]
    assert found[2].p == found[2].p_adjusted == 0.03125
    assert found[1].p_adjusted == pytest.approx(3 * found[1].p)


def test_groups_make_the_test_clustered_and_widen_the_interval():
    values = {"prompt": [1] * 12 + [0] * 28, "rag": [0] * 40}
    (alone,) = compared(n=40, **values)
    (grouped,) = compared(n=40, group=lambda i: str(i // 4), **values)
    assert grouped.method == "permutation, clustered"
    assert grouped.clusters == 10
    assert (grouped.first_only, grouped.second_only) == (12, 0)
    assert alone.p < 0.001 < 0.05 < grouped.p
    assert grouped.high - grouped.low > alone.high - alone.low


def test_identical_arms_differ_by_nothing_and_insignificantly_and_leave_room_for_what_was_not_seen():
    (found,) = compared(n=40, prompt=[1, 0] * 20, rag=[1, 0] * 20)
    assert (found.difference, found.p, found.first_only, found.second_only) == (0, 1, 0, 0)
    assert -0.1 < found.low < found.low_equivalence < 0 < found.high_equivalence < found.high < 0.1
    assert (found.low, found.low_equivalence) == (-found.high, -found.high_equivalence)


def test_failures_of_both_arms_are_counted():
    every = [*rows("prompt", [0] * 5, failed={1, 2}), *rows("rag", [1] * 5, failed={4})]
    (found,) = compare_arms(every, cases(5), rule=RULE, metric="accuracy", arms=["prompt", "rag"])
    assert (found.first_failed, found.second_failed) == (2, 1)


def test_only_cases_with_a_value_in_both_arms_are_compared():
    every = [*rows("rag", [1] * 30, "hit_at_k"), *rows("rag_lora", [0] * 20, "hit_at_k"), *rows("prompt", [1] * 30)]
    found = compare_arms(every, cases(30), rule=RULE, metric="hit_at_k", arms=["prompt", "rag", "rag_lora"])
    assert [one.n for one in found] == [0, 0, 20]
    nothing = found[0]
    assert (nothing.p_adjusted, nothing.low, nothing.high, nothing.method) == (1, -1, 1, "no shared case")


@pytest.mark.parametrize("metric", ["macro_f1", "no_such_metric"])
def test_a_metric_that_cannot_compare_case_by_case_is_refused_in_words(metric):
    with pytest.raises(UserError, match=metric if metric[0] == "n" else "Choose another metric"):
        compare_arms([], [], rule=RULE, metric=metric, arms=[])


def test_a_comparison_seen_from_the_other_arm_is_the_comparison_the_other_way_round():
    values = {"prompt": [1] * 20 + [0] * 20, "rag": [1] * 18 + [0] * 2 + [1] * 10 + [0] * 10}
    (there,) = compared(n=40, **values)
    (back,) = compared(n=40, **dict(reversed(values.items())))
    assert seen_from(there, "rag") == back
    assert seen_from(there, "prompt") is there


def test_comparisons_survive_json_also_where_nothing_could_be_computed():
    for n in (0, 1, 2, 40):
        for one in compared(n=n, prompt=[1] * n, rag=[0] * n, lora=[1] * n):
            assert msgspec.json.decode(msgspec.json.encode(one), type=Comparison) == one
