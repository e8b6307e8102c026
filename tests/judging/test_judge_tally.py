"""What judgments come to, and which judges are trusted."""

import math
import random
from dataclasses import replace

import pytest
from judging.planted import PlantedJudge, always_a, longest, questions, truth

from harness.judging.judge import Judgment, judge_pairs
from harness.judging.tally import HumanLabel, tally


def judged(habit, asked):
    return judge_pairs(PlantedJudge(habit=habit), asked, instruction="Answer.")


def labels_of(asked):
    return [HumanLabel(q.case_id, q.first_arm, q.second_arm, truth(q)) for q in asked]


def said(verdict, *, case="c0", first="rag", second="lora"):
    return Judgment(case, first, second, verdict, verdict, verdict)


def counted(judgments, **options):
    return tally(judgments, **({"resamples": 500} | options))


def test_a_judge_that_prefers_the_first_answer_is_caught():
    asked = questions(60)
    found = counted(judged(always_a, asked), labels=labels_of(asked))
    assert found.bias.share == 1.0
    assert (found.bias.follows_a, found.bias.follows_b, found.bias.compared) == (60, 0, 60)
    assert (found.pairs[0].ties, found.pairs[0].win_rate, found.pairs[0].p) == (60, 0.5, 1.0)
    assert not found.standing.trusted
    assert any("followed the position of the answers in 60 of 60" in reason for reason in found.standing.reasons)
    assert any("less than 20 % is asked" in reason for reason in found.standing.reasons)


def test_a_good_judge_is_trusted():
    asked = questions(60)
    found = counted(judged(longest, asked), labels=labels_of(asked))
    assert (found.agreement.kappa, found.agreement.labels, found.agreement.agreed) == (1.0, 60, 60)
    assert 0.8 < found.agreement.low < 1 == found.agreement.high
    assert found.bias.share == 0
    assert found.standing.trusted
    assert "may count" in found.standing.reasons[0]


def test_a_random_judge_is_not():
    draw, asked = random.Random(1), questions(200)
    found = counted(judged(lambda a, b: draw.choice(["A", "B", "TIE"]), asked), labels=labels_of(asked))
    assert abs(found.agreement.kappa) < 0.2
    assert found.agreement.low < found.agreement.kappa < found.agreement.high
    assert found.bias.low < 2 / 9 < found.bias.high
    assert not found.standing.trusted


def test_a_judge_without_labels_is_a_second_opinion():
    found = counted(judged(longest, questions(60)))
    assert found.agreement is None
    assert found.standing.reasons == (
        "No human labels say whether the judge is right: its wins are a second opinion, and decide nothing.",
    )
    assert not found.standing.trusted


def test_a_low_kappa_is_said_in_numbers():
    asked = questions(80)
    labels = labels_of(asked)
    wrong = [replace(label, label="tie") if i % 2 else label for i, label in enumerate(labels)]
    found = counted(judged(longest, asked), labels=wrong)
    assert 0.2 < found.agreement.kappa < 0.5
    assert found.standing.reasons == (
        f"Kappa {math.floor(found.agreement.kappa * 100) / 100:.2f} on 80 human labels is below 0.6: the judge's wins "
        "are shown, and decide nothing.",
    )


def test_few_labels_are_not_enough():
    asked = questions(60)
    found = counted(judged(longest, asked), labels=labels_of(asked[:49]))
    assert not found.standing.trusted
    assert found.standing.reasons[0].startswith("49 human labels, fewer than 50,")


def test_kappa_is_that_of_a_textbook():
    # Cohen's kappa of the 2 x 2 table 20, 5 / 10, 15 is 0.4.
    table = [("first", "first", 20), ("first", "second", 5), ("second", "first", 10), ("second", "second", 15)]
    rows = [(judge, person) for judge, person, n in table for _ in range(n)]
    judgments = [said(judge, case=f"c{i}") for i, (judge, _) in enumerate(rows)]
    labels = [HumanLabel(f"c{i}", "rag", "lora", person) for i, (_, person) in enumerate(rows)]
    found = counted(judgments, labels=labels, resamples=4000).agreement
    assert found.kappa == pytest.approx(0.4)
    # The usual large-sample standard error is 0.127.
    assert (found.low, found.high) == (pytest.approx(0.15, abs=0.05), pytest.approx(0.65, abs=0.05))


def test_labels_may_name_the_arms_in_the_other_order():
    judgments = [said("first", case="c0"), said("second", case="c1")]
    labels = [HumanLabel("c0", "lora", "rag", "second"), HumanLabel("c1", "rag", "lora", "second")]
    assert counted(judgments, labels=labels).agreement.kappa == 1.0


def test_several_peoples_labels_of_one_comparison_count_once():
    judgments = [said("first", case="c0"), said("tie", case="c1")]
    votes = [("c0", "first"), ("c0", "first"), ("c0", "second"), ("c1", "first"), ("c1", "second")]
    labels = [HumanLabel(case, "rag", "lora", label) for case, label in votes]
    found = counted(judgments, labels=labels).agreement
    assert (found.labels, found.agreed) == (2, 2)


def test_only_comparisons_that_were_asked_show_agreement():
    same = replace(said("tie", case="c1"), asked=False)
    labels = [HumanLabel(case, "rag", "lora", "tie") for case in ("c1", "elsewhere")]
    found = counted([said("first"), same], labels=labels)
    assert (found.agreement.labels, found.agreement.unmatched) == (0, 2)
    assert "None of the human labels" in found.standing.reasons[0]


def test_an_unreadable_verdict_agrees_with_nobody():
    judgments = [said("first" if i % 2 else "second", case=f"c{i}") for i in range(60)]
    labels = [HumanLabel(j.case_id, "rag", "lora", j.verdict) for j in judgments]
    unread = [replace(j, forward=None, backward=None, verdict=None) if i < 30 else j for i, j in enumerate(judgments)]
    found = counted(unread, labels=labels)
    assert found.unreadable == 0.5
    assert (found.agreement.labels, found.agreement.agreed) == (60, 30)
    assert not found.standing.trusted


def test_one_verdict_throughout_has_no_kappa():
    judgments = [said("first", case=f"c{i}") for i in range(60)]
    found = counted(judgments, labels=[HumanLabel(j.case_id, "rag", "lora", "first") for j in judgments])
    assert math.isnan(found.agreement.kappa)
    assert not found.standing.trusted
    assert "kappa is not defined" in found.standing.reasons[0]


def test_a_label_is_one_of_three():
    with pytest.raises(ValueError, match="first, second or tie"):
        counted([said("first")], labels=[HumanLabel("c0", "rag", "lora", "A")])


def test_wins_are_counted_from_the_first_arm():
    verdicts = ["first"] * 30 + ["second"] * 10 + ["tie"] * 20 + [None] * 3
    found = counted([said(verdict, case=f"c{i}") for i, verdict in enumerate(verdicts)]).pairs[0]
    assert (found.wins, found.losses, found.ties, found.unreadable) == (30, 10, 20, 3)
    assert found.win_rate == pytest.approx(40 / 60)
    assert 0.5 < found.low < found.win_rate < found.high < 0.8
    assert found.p < 0.05


def test_a_pair_is_one_whichever_arm_stands_first():
    judgments = [said("first", case="c0"), said("second", case="c1", first="lora", second="rag")]
    (found,) = counted(judgments).pairs
    assert (found.first_arm, found.wins, found.losses) == ("rag", 2, 0)


def test_p_values_are_adjusted_over_the_pairs():
    judgments = [said("first", case=f"c{i}", second=arm) for arm in ("lora", "prompt") for i in range(12)]
    for pair in counted(judgments, resamples=2000).pairs:
        assert pair.p_adjusted == pytest.approx(2 * pair.p)


def test_cases_of_a_group_are_drawn_together():
    judgments = [said("first" if i < 30 else "second", case=f"c{i}") for i in range(60)]
    alone = counted(judgments).pairs[0]
    grouped = counted(judgments, groups={f"c{i}": f"g{i // 10}" for i in range(60)}).pairs[0]
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_nothing_judged():
    found = counted([])
    assert found.pairs == ()
    assert math.isnan(found.bias.share)
    assert math.isnan(found.unreadable)
    assert not found.standing.trusted


def test_a_pair_without_a_verdict():
    found = counted([said(None)]).pairs[0]
    assert (found.unreadable, found.wins) == (1, 0)
    assert math.isnan(found.win_rate)
    assert math.isnan(found.p)
