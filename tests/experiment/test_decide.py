"""The decision rule, branch by branch, on constructed evidence."""

import math
import statistics
from dataclasses import replace

import msgspec
import pytest
from verdict_builders import LEVEL, NARROW, OPEN, SURE, UNSURE, cost, decided, evidence, judged, rule

from harness.experiment.decide import decide, evidence_for, request_cost
from harness.records import ArmScore, LeftOut, Stopped, Verdict, VerdictKind

WINNER, TIE = VerdictKind.WINNER, VerdictKind.TIE
NONE_USEFUL, NOT_ENOUGH = VerdictKind.NONE_USEFUL, VerdictKind.NOT_ENOUGH_CASES
COULD_NOT = VerdictKind.COULD_NOT_COMPARE

BRANCHES = {
    # name: (values, gaps, options, kind, arm, tied)
    "no arm at all": ({}, {}, {}, COULD_NOT, None, ()),
    "only the control": ({"dummy": 0.3}, {}, {}, COULD_NOT, None, ()),
    "every arm failed on every case": (
        {"dummy": 0.3, "prompt": 0.0, "rag": 0.0},
        {},
        {"failed": {"prompt": 100, "rag": 100}},
        COULD_NOT,
        None,
        (),
    ),
    "one useful arm": ({"dummy": 0.3, "prompt": 0.6}, {}, {}, COULD_NOT, None, ()),
    "one arm and no control": ({"prompt": 0.6}, {}, {}, COULD_NOT, None, ()),
    "one arm no better than the control": (
        {"dummy": 0.30, "prompt": 0.31},
        {("dummy", "prompt"): LEVEL},
        {},
        NONE_USEFUL,
        None,
        (),
    ),
    "one arm, a lead that is not significant": (
        {"dummy": 0.3, "prompt": 0.4},
        {("dummy", "prompt"): OPEN},
        {},
        COULD_NOT,
        None,
        (),
    ),
    "one arm, few cases": (
        {"dummy": 0.3, "prompt": 0.3},
        {("dummy", "prompt"): OPEN},
        {"n": 20},
        COULD_NOT,
        None,
        (),
    ),
    "one arm below the target": ({"dummy": 0.3, "prompt": 0.6}, {}, {"target": 0.8}, NONE_USEFUL, None, ()),
    "one of two arms failed entirely": (
        {"dummy": 0.3, "prompt": 0.6, "rag": 0.0},
        {},
        {"failed": {"rag": 100}},
        COULD_NOT,
        None,
        (),
    ),
    "one arm below the target, as many cases as asked for": (
        {"dummy": 0.3, "prompt": 0.6},
        {},
        {"target": 0.8, "n": 30},
        NONE_USEFUL,
        None,
        (),
    ),
    "too few cases": ({"dummy": 0.1, "prompt": 0.2, "rag": 0.9}, {}, {"n": 29}, NOT_ENOUGH, None, ("rag", "prompt")),
    "as many cases as asked for": (
        {"dummy": 0.1, "prompt": 0.2, "rag": 0.9},
        {},
        {"n": 30},
        WINNER,
        "rag",
        ("rag",),
    ),
    "none better than the control": (
        {"dummy": 0.40, "prompt": 0.41, "rag": 0.39},
        {("dummy", "prompt"): LEVEL, ("dummy", "rag"): LEVEL},
        {},
        NONE_USEFUL,
        None,
        (),
    ),
    "significantly worse than the control": ({"dummy": 0.6, "prompt": 0.4, "rag": 0.3}, {}, {}, NONE_USEFUL, None, ()),
    "a lead over the control that is not significant": (
        {"dummy": 0.4, "prompt": 0.47, "rag": 0.41},
        {("dummy", "prompt"): OPEN, ("dummy", "rag"): OPEN},
        {},
        NOT_ENOUGH,
        None,
        ("prompt",),
    ),
    "best of a bad lot": ({"dummy": 0.1, "prompt": 0.5, "rag": 0.6}, {}, {"target": 0.7}, NONE_USEFUL, None, ()),
    "target reached exactly": ({"dummy": 0.1, "prompt": 0.5, "rag": 0.7}, {}, {"target": 0.7}, WINNER, "rag", ("rag",)),
    "clear winner": (
        {"dummy": 0.1, "prompt": 0.5, "rag": 0.8, "lora": 0.6},
        {},
        {},
        WINNER,
        "rag",
        ("rag",),
    ),
    "a winner without a control": ({"prompt": 0.5, "rag": 0.8}, {}, {}, WINNER, "rag", ("rag",)),
    "a significant lead of exactly the margin": (
        {"dummy": 0.1, "prompt": 0.55, "rag": 0.60},
        {},
        {},
        WINNER,
        "rag",
        ("rag",),
    ),
    "the cheaper arm leads significantly by less than the margin": (
        {"dummy": 0.1, "prompt": 0.53, "rag": 0.50},
        {},
        {},
        WINNER,
        "prompt",
        ("prompt",),
    ),
    "the dearer arm leads significantly, and certainly by less than the margin": (
        {"dummy": 0.1, "prompt": 0.50, "rag": 0.52},
        {},
        {},
        TIE,
        "prompt",
        ("rag", "prompt"),
    ),
    "the dearer arm leads significantly by less than the margin, perhaps by more": (
        {"dummy": 0.1, "prompt": 0.50, "rag": 0.54},
        {("prompt", "rag"): (0.03, SURE)},
        {},
        NOT_ENOUGH,
        None,
        ("rag", "prompt"),
    ),
    "level arms, narrow interval": (
        {"dummy": 0.1, "prompt": 0.50, "rag": 0.51},
        {("prompt", "rag"): LEVEL},
        {},
        TIE,
        "prompt",
        ("rag", "prompt"),
    ),
    "level arms, wide interval": (
        {"dummy": 0.1, "prompt": 0.50, "rag": 0.51},
        {("prompt", "rag"): OPEN},
        {},
        NOT_ENOUGH,
        None,
        ("rag", "prompt"),
    ),
    "the best is the cheapest, but the other may still be better by the margin": (
        {"dummy": 0.1, "prompt": 0.51, "rag": 0.50},
        {("prompt", "rag"): OPEN},
        {},
        NOT_ENOUGH,
        None,
        ("prompt", "rag"),
    ),
    "a large lead that is not significant": (
        {"dummy": 0.1, "prompt": 0.50, "rag": 0.60},
        {("prompt", "rag"): OPEN},
        {},
        NOT_ENOUGH,
        None,
        ("rag", "prompt"),
    ),
    "a beaten arm is no part of the tie": (
        {"dummy": 0.1, "prompt": 0.3, "rag": 0.60, "lora": 0.61},
        {("rag", "lora"): LEVEL},
        {},
        TIE,
        "rag",
        ("lora", "rag"),
    ),
    "a lead beside an arm that is merely not significantly better than the control makes no winner": (
        {"dummy": 0.4, "prompt": 0.50, "rag": 0.52},
        {("dummy", "prompt"): (0.1, 0.06), ("dummy", "rag"): (0.1, 0.04), ("prompt", "rag"): OPEN},
        {},
        NOT_ENOUGH,
        None,
        ("rag", "prompt"),
    ),
    "an arm not shown to be useful can tie, but is not recommended": (
        {"dummy": 0.4, "prompt": 0.50, "rag": 0.52},
        {("dummy", "prompt"): (0.1, 0.06), ("dummy", "rag"): (0.1, 0.04), ("prompt", "rag"): LEVEL},
        {},
        TIE,
        "rag",
        ("rag", "prompt"),
    ),
    "an arm below the target can tie, but is not recommended": (
        {"dummy": 0.1, "prompt": 0.79, "rag": 0.80},
        {("prompt", "rag"): LEVEL},
        {"target": 0.8},
        TIE,
        "rag",
        ("rag", "prompt"),
    ),
    "an arm of one's own is the dearest": (
        {"dummy": 0.1, "agent": 0.51, "rag_lora": 0.50},
        {("agent", "rag_lora"): LEVEL},
        {},
        TIE,
        "rag_lora",
        ("agent", "rag_lora"),
    ),
    "an entirely failed arm is neither compared nor recommended": (
        {"dummy": 0.1, "prompt": 0.0, "rag": 0.5, "lora": 0.51},
        {("rag", "lora"): LEVEL},
        {"failed": {"prompt": 100}},
        TIE,
        "rag",
        ("lora", "rag"),
    ),
    "a test that could not be computed beats nobody": (
        {"dummy": 0.1, "prompt": 0.5, "rag": 0.8},
        {("prompt", "rag"): (NARROW, math.nan)},
        {},
        NOT_ENOUGH,
        None,
        ("rag", "prompt"),
    ),
    "an interval that could not be computed shows no equality": (
        {"dummy": 0.1, "prompt": 0.5, "rag": 0.51},
        {("prompt", "rag"): (math.nan, UNSURE)},
        {},
        NOT_ENOUGH,
        None,
        ("rag", "prompt"),
    ),
    "a control that could not be tested makes nobody useful": (
        {"dummy": 0.1, "prompt": 0.11, "rag": 0.12},
        {("dummy", "prompt"): (NARROW, math.nan), ("dummy", "rag"): (NARROW, math.nan)},
        {},
        NONE_USEFUL,
        None,
        (),
    ),
}


@pytest.mark.parametrize("name", BRANCHES)
def test_every_branch_of_the_rule(name):
    values, gaps, options, kind, arm, tied = BRANCHES[name]
    found = decided(values, gaps, **options)
    assert (found.kind, found.arm, found.tied) == (kind, arm, tied)
    assert (found.cases_needed is not None) == (kind is NOT_ENOUGH)
    assert found.sentences


@pytest.mark.parametrize("name", BRANCHES)
def test_every_verdict_is_one_to_write_down_and_to_read_aloud(name):
    values, gaps, options, *_ = BRANCHES[name]
    found = decided(values, gaps, **options)
    for sentence in found.sentences:
        assert sentence.endswith((".", "!"))
        assert not sentence[0].islower()
        assert "nan" not in sentence.lower().split()
        assert "None" not in sentence.removeprefix("None of")
    if not any(math.isnan(x) for gap in gaps.values() for x in gap):
        assert msgspec.json.decode(msgspec.json.encode(found), type=Verdict) == found


def test_scores_come_best_first_and_other_metrics_stay_out():
    scores, pairs = evidence({"dummy": 0.1, "prompt": 0.5, "rag": 0.8})
    other = ArmScore("prompt", "macro_f1", 0.99, 0.9, 1.0, 100, 0)
    found = decide([other, *scores], pairs, rule=rule(), left_out=[LeftOut("lora", "no training examples")])
    assert [score.arm for score in found.scores] == ["rag", "prompt", "dummy"]
    assert found.comparisons == tuple(pairs)
    assert found.left_out == (LeftOut("lora", "no training examples"),)
    assert (found.metric, found.margin, found.alpha) == ("accuracy", 0.05, 0.05)
    assert found.rule_digest == rule().digest


def test_a_pair_that_was_not_compared_is_open():
    scores, pairs = evidence({"dummy": 0.1, "prompt": 0.5, "rag": 0.8})
    found = decide(scores, pairs[:2], rule=rule())
    assert (found.kind, found.tied) == (NOT_ENOUGH, ("rag", "prompt"))
    assert any("could not be compared" in sentence for sentence in found.sentences)


LEVEL_PAIR = {("few_shot", "lora"): LEVEL, ("prompt", "nearest_shots"): LEVEL, ("nearest_shots", "lora"): LEVEL}


@pytest.mark.parametrize(
    ("costs", "arm"),
    [
        ([], "few_shot"),
        ([cost("few_shot", 400)], "few_shot"),
        ([cost("few_shot", 400), cost("lora", 220)], "few_shot"),
        ([cost("few_shot", 400), cost("lora", 190)], "few_shot"),
        ([cost("few_shot", 400), cost("lora", 189)], "lora"),
        ([cost("few_shot", 400), cost("lora", 60)], "lora"),
        ([cost("few_shot", 400), cost("lora", 60, train_tokens=1_000_000)], "few_shot"),
        ([cost("few_shot", 400, 5), cost("lora", 60, 100)], "few_shot"),
    ],
    ids=[
        "by the ladder",
        "one cost unknown",
        "not half",
        "just half",
        "just less than half",
        "less than half",
        "training counts",
        "output counts",
    ],
)
def test_of_a_tie_the_cheapest_is_taken_by_the_ladder_unless_cost_says_otherwise(costs, arm):
    found = decided({"dummy": 0.1, "few_shot": 0.50, "lora": 0.51}, LEVEL_PAIR, costs=costs)
    assert (found.kind, found.arm) == (TIE, arm)


def test_an_arm_that_measured_cost_makes_the_cheaper_one_wins_by_less_than_the_margin():
    values = {"dummy": 0.1, "few_shot": 0.50, "lora": 0.53}
    costs = [cost("few_shot", 1000), cost("lora", 60)]
    assert decided(values, {("few_shot", "lora"): (0.029, SURE)}).kind is NOT_ENOUGH
    assert decided(values, {("few_shot", "lora"): (0.029, SURE)}, costs=costs).arm == "lora"


def test_request_cost_is_in_tokens_read():
    assert request_cost(cost("lora", 100, 10, 50_000)) == 100 + 4 * 10 + 15


def test_cases_needed_grow_as_the_open_gap_nears_the_margin_and_stop_at_thousands():
    def needed(lead, half=0.06):
        values = {"dummy": 0.1, "prompt": 0.5, "rag": 0.5 + lead}
        return decided(values, {("prompt", "rag"): (half, UNSURE)}, n=100).cases_needed

    # sd = 0.06 / 1.96 * 10 = 0.306: (1.645 + 0.842)^2 * 0.306^2 / 0.05^2 = 232 cases to show equality.
    assert needed(0.0) == 250
    assert needed(0.02) == 650
    assert needed(0.0499) == 10_000
    # (2.394 + 0.842)^2 * 0.306^2 / 0.08^2 = 154 cases to show a lead of 8 points at alpha / 3 pairs.
    assert needed(0.08) == 160
    assert needed(0.0, half=0.0625) > needed(0.0)


@pytest.mark.parametrize(("n", "needed"), [(199, 200), (200, 250), (500, 550), (999, 1000), (1000, 1100)])
def test_the_number_of_cases_asked_for_is_always_more_than_there_are(n, needed):
    found = decided({"dummy": 0.1, "prompt": 0.5, "rag": 0.9}, {("prompt", "rag"): (0.001, 0.051)}, n=n)
    assert (found.kind, found.cases_needed) == (NOT_ENOUGH, needed)


def normal(share):
    return statistics.NormalDist().inv_cdf(share)


@pytest.mark.parametrize("seed_error", [0.005, 0.01, 0.015])
def test_what_training_seeds_leave_uncertain_is_taken_off_before_cases_are_counted(seed_error):
    # Half-width 0.06 at 100 cases; what the seeds take no number of cases gives back.
    sd = math.sqrt((0.06 / normal(0.975)) ** 2 - seed_error**2) * 10
    taken = (normal(0.975) + normal(0.8)) * seed_error
    expected = ((normal(0.95) + normal(0.8)) * sd) ** 2 / (0.05**2 - taken**2)
    assert 0 <= needed_with_seeds(0.0, seed_error) - expected < 100
    # A lead of 8 points, at alpha over three pairs.
    expected = ((normal(1 - 0.05 / 6) + normal(0.8)) * sd) ** 2 / (0.08**2 - taken**2)
    assert 0 <= needed_with_seeds(0.08, seed_error) - expected < 50


def test_what_the_seeds_hide_altogether_no_number_of_cases_shows():
    assert needed_with_seeds(0.0, 0.02) == 10_000
    assert needed_with_seeds(0.08, 0.03) == 10_000


def needed_with_seeds(lead, seed_error):
    scores, pairs = evidence({"dummy": 0.1, "prompt": 0.5, "rag": 0.5 + lead}, {("prompt", "rag"): (0.06, UNSURE)})
    pairs = [replace(one, seed_error=seed_error) if one.second == "rag" else one for one in pairs]
    return decide(scores, pairs, rule=rule()).cases_needed


@pytest.mark.parametrize(("margin", "needed"), [(0.03, 90), (0.05, 60), (0.0, 10_000)])
def test_same_answers_need_as_many_cases_as_wilsons_bound_takes_to_the_margin(margin, needed):
    # z^2 (1 - margin) / margin with z = 1.645: 87.5 and 51.4 cases.
    scores, pairs = evidence({"dummy": 0.1, "prompt": 0.5, "rag": 0.5}, {("prompt", "rag"): OPEN}, n=40)
    pairs = [replace(one, first_only=0, second_only=0) if one.second == "rag" else one for one in pairs]
    assert decide(scores, pairs, rule=rule(margin=margin)).cases_needed == needed


def test_an_arm_that_was_stopped_is_beaten_by_the_one_that_stopped_it_and_by_whatever_beats_that():
    values = {"dummy": 0.1, "prompt": 0.3, "rag": 0.5, "lora": 0.8}
    unsure = {("prompt", "rag"): OPEN, ("prompt", "lora"): OPEN}
    found = decide(*evidence(values, unsure), rule=rule(), stopped=[Stopped("prompt", "rag", 40, 100, 200.0)])
    assert (found.kind, found.arm, found.tied) == (WINNER, "lora", ("lora",))
    assert found.stopped == (Stopped("prompt", "rag", 40, 100, 200.0),)
    known = evidence_for(*evidence(values, unsure), rule=rule(), stopped=[Stopped("prompt", "rag", 40, 100, 200.0)])
    assert known.beats("rag", "prompt")
    assert known.beats("lora", "prompt")
    assert not known.beats("prompt", "prompt")
    assert not known.beats("dummy", "prompt")
    assert not evidence_for(*evidence(values, unsure), rule=rule()).beats("lora", "prompt")


def test_an_arm_without_a_score_comes_last():
    values = {"dummy": 0.1, "lora": math.nan, "prompt": 0.5, "rag": 0.8}
    found = decide(*evidence(values), rule=rule())
    assert [score.arm for score in found.scores] == ["rag", "prompt", "dummy", "lora"]
    assert (found.kind, found.arm) == (WINNER, "rag")


@pytest.mark.parametrize(("target", "below"), [(None, False), (0.78, False), (0.79, True)])
def test_a_score_is_shown_below_the_target_with_its_whole_interval(target, below):
    known = evidence_for([ArmScore("rag", "accuracy", 0.7, 0.62, 0.78, 100, 0)], (), rule=rule(target=target))
    assert known.shown_below_target("rag") == below


def test_which_arm_is_cheaper_does_not_depend_on_who_is_named_first():
    costs = [cost("few_shot", 400), cost("lora", 60), cost("rag", 300)]
    known = evidence_for((), (), rule=rule(), costs=costs)
    assert known.is_cheaper("lora", "few_shot")
    assert not known.is_cheaper("few_shot", "lora")
    half = evidence_for((), (), rule=rule(), costs=[cost("few_shot", 400), cost("lora", 190)])
    assert half.is_cheaper("few_shot", "lora")
    assert not half.is_cheaper("lora", "few_shot")
    assert known.is_cheaper("few_shot", "rag")
    assert not known.is_cheaper("rag", "few_shot")


@pytest.mark.parametrize(("p", "better"), [(0.0499, True), (0.05, False)])
def test_a_p_at_alpha_is_not_below_it(p, better):
    scores, pairs = evidence({"prompt": 0.5, "rag": 0.8}, {("prompt", "rag"): (NARROW, p)})
    assert evidence_for(scores, pairs, rule=rule(alpha=0.05)).is_better("rag", "prompt") == better


def test_no_arm_is_cheaper_than_itself_and_of_equal_costs_the_ladder_decides():
    costs = [cost(arm, 100) for arm in ("prompt", "rag", "lora", "few_shot")]
    for known in (evidence_for((), (), rule=rule(), costs=own) for own in (costs, ())):
        assert not known.is_cheaper("rag", "rag")
        assert known.cheapest(["lora", "few_shot", "rag", "prompt"]) == "prompt"
        assert known.cheapest(["lora", "rag"]) == "rag"


def test_no_margin_at_all_still_ends_in_a_verdict():
    values = {"dummy": 0.1, "prompt": 0.5, "rag": 0.5}
    assert decided(values, {("prompt", "rag"): (NARROW, UNSURE)}, margin=0.0).cases_needed == 10_000
    assert decided(values, {("prompt", "rag"): (0.0, 1.0)}, margin=0.0).arm == "prompt"


def same_answers(n):
    """Two arms that are right on the same three of four cases."""
    return judged(dummy=[0] * n, rag=([1, 1, 0, 1] * n)[:n], prompt=([1, 1, 0, 1] * n)[:n])


@pytest.mark.parametrize("n", [100, 400])
def test_arms_with_the_same_answers_tie_and_the_cheaper_is_taken(n):
    found = same_answers(n)
    assert (found.kind, found.arm, set(found.tied)) == (TIE, "prompt", {"prompt", "rag"})
    (said,) = [one for one in found.sentences if "right and wrong on the same cases" in one]
    assert said.startswith(f"RAG and the plain prompt were right and wrong on the same cases, all {n} of them; ")
    assert said.endswith(f"beyond {'2.6' if n == 100 else '0.7'} points is not to be expected (95 % confidence).")


@pytest.mark.parametrize("n", [30, 40])
def test_few_cases_with_the_same_answers_leave_open_whether_the_arms_are_alike(n):
    found = same_answers(n)
    assert (found.kind, found.arm, set(found.tied)) == (NOT_ENOUGH, None, {"prompt", "rag"})
    assert found.cases_needed > n


def test_a_lead_that_a_few_groups_carry_does_not_decide():
    prompt, rag = [1] * 20 + [0] * 40, [1] * 35 + [0] * 25
    alone = judged(dummy=[0] * 60, prompt=prompt, rag=rag)
    grouped = judged(dummy=[0] * 60, prompt=prompt, rag=rag, group=lambda i: str(i // 15))
    assert (alone.kind, alone.arm) == (WINNER, "rag")
    assert grouped.kind is NOT_ENOUGH


def test_an_arm_that_fails_on_every_case_does_not_stop_the_others():
    found = judged(dummy=[0] * 40, prompt=[0] * 40, rag=[1] * 30 + [0] * 10, lora=[1] * 10 + [0] * 30,
                   failed={"prompt": range(40)})  # fmt: skip
    assert (found.kind, found.arm) == (WINNER, "rag")
    assert "The plain prompt gave no answer to 40 of 40 cases; each counts as wrong." in found.sentences
