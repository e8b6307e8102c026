"""Pairs before a judge, in both orders."""

from dataclasses import replace

import pytest
from judging.planted import PlantedJudge, always_a, longest, questions, truth

from harness.judging.judge import answered, judge_pairs, settle


def judged(habit, asked, **options):
    judge = PlantedJudge(habit=habit)
    return judge_pairs(judge, asked, instruction="Answer.", **options), judge


def test_a_judge_that_reads_says_the_same_in_both_orders():
    asked = questions(8)
    found, judge = judged(longest, asked)
    assert [j.verdict for j in found] == [truth(q) for q in asked]
    assert all(j.forward == j.backward == j.verdict for j in found)
    assert [(j.case_id, j.first_arm, j.second_arm) for j in found] == [(f"c{i}", "rag", "lora") for i in range(8)]
    assert len(set(judge.asked)) == len(judge.asked) == 16


def test_a_judge_that_prefers_the_first_answer_only_makes_ties():
    found, _ = judged(always_a, questions(6))
    assert {(j.forward, j.backward, j.verdict) for j in found} == {("first", "second", "tie")}


def test_equal_answers_are_a_tie_without_asking():
    alike = [replace(q, second=f" {q.first}\n") for q in questions(3)]
    found, judge = judged(always_a, alike)
    assert {(j.verdict, j.asked) for j in found} == {("tie", False)}
    assert judge.asked == []


@pytest.mark.parametrize(
    ("forward", "backward", "verdict"),
    [
        ("first", "first", "first"),
        ("second", "second", "second"),
        ("tie", "tie", "tie"),
        ("first", "second", "tie"),
        ("first", "tie", "tie"),
        ("first", None, None),
        (None, None, None),
    ],
)
def test_two_orders_settle_to_one_verdict(forward, backward, verdict):
    assert settle(forward, backward) == verdict


def test_an_unreadable_reply_is_no_verdict():
    found, _ = judged(lambda a, b: "Hard to say.", questions(2))
    assert {(j.forward, j.backward, j.verdict, j.asked) for j in found} == {(None, None, None, True)}


def test_what_does_not_fit_the_window_is_not_asked():
    judge = PlantedJudge(habit=longest, window=400)
    short, long = questions(2)
    found = judge_pairs(judge, [replace(long, input="word " * 500), short], instruction="Answer.")
    assert [j.verdict for j in found] == [None, "first"]


def test_no_arm_is_named_in_a_prompt():
    _, judge = judged(longest, questions(4, first_arm="nearest_shots", second_arm="rag_lora"))
    assert not any(name in prompt for prompt in judge.asked for name in ("nearest_shots", "rag_lora"))
    swapped = [replace(q, first_arm=q.second_arm, second_arm=q.first_arm) for q in questions(4)]
    assert judged(longest, swapped)[1].asked == judge.asked


def test_references_can_be_kept_from_the_judge():
    _, judge = judged(longest, questions(1), show_references=False)
    assert not any("reference 0" in prompt for prompt in judge.asked)
    assert "reference 0" in judged(longest, questions(1))[1].asked[0]


def test_prompts_can_be_answered_by_another():
    seen = []

    def ask(prompts):
        seen.extend(prompts)
        return ["B"] * len(prompts)

    found, judge = judged(longest, questions(2), ask=ask)
    assert len(seen) == 4
    assert judge.asked == []
    assert {(j.forward, j.backward) for j in found} == {("second", "first")}


@pytest.mark.parametrize("lost", [0, 1])
def test_a_question_without_a_reply_in_either_order_has_no_judgment(lost):
    """Prompts come in pairs, the two orders of a question."""
    found, _ = judged(longest, questions(3), ask=lambda p: [None if i == 2 + lost else "B" for i in range(len(p))])
    assert [j.case_id for j in found] == ["c0", "c2"]
    assert {(j.forward, j.backward) for j in found} == {("second", "first")}


def test_nothing_to_judge():
    found, judge = judged(longest, [])
    assert found == answered(judge, [], max_new_tokens=1) == []
