import math
from dataclasses import replace

import builders
import pytest

from harness.publish.blocks import CaseBrowser, Facts, Intervals, Mark, Paragraph, Table
from harness.records import AdviceRelation, Comparison, Contradiction, VerdictKind
from harness.report.content import build_report
from harness.report.sections.advice import advice_section, contradiction_lines
from harness.report.sections.cases import cases_section, graded_group, right_group
from harness.report.sections.pairs import form_section, pairs_section, reading
from harness.report.sections.scores import main_table, picture
from harness.report.sections.setup import left_out_section
from harness.report.sections.summary import summary_section
from harness.report.sections.verdict import advice_sentence, headline, key_facts, settling
from harness.scenario import RemovedRow


def blocks_of(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (builders.winner, "RAG + LoRA wins"),
        (builders.tie, "A tie: use the prompt"),
        (builders.none_useful, "No arm is useful"),
        (builders.not_enough_cases, "Not enough cases to tell"),
        (builders.could_not_compare, "Could not compare"),
        (builders.failed_arm, "RAG wins"),
    ],
)
def test_the_headline_says_the_verdict(build, words):
    assert headline(build().verdict) == words


def test_a_tie_without_a_recommended_arm_is_only_a_tie():
    assert headline(replace(builders.tie().verdict, arm=None)) == "A tie"


def test_every_kind_of_verdict_has_every_section_in_order():
    titles = [section.anchor for section in build_report(builders.winner()).sections]
    assert titles == [
        *("trial-as-run", "scores", "advice", "form-or-facts", "cost", "readiness", "examples", "cases"),
        *("pairs", "metrics", "setup", "left-out", "appendix"),
    ]
    assert [section.anchor for section in build_report(builders.could_not_compare()).sections] == [
        anchor for anchor in titles if anchor not in ("advice", "form-or-facts", "examples", "metrics")
    ]


def test_the_verdict_gives_the_numbers_that_matter_for_the_recommended_arm():
    facts = {fact.label: fact.value for fact in key_facts(builders.winner())}
    assert facts == {
        "Recommended arm": "RAG + LoRA",
        "Exact match of RAG + LoRA": "75 % (62 to 87 %)",
        "Time for a request": "0.8 s",
        "Tokens a request": "620",
    }


def test_without_a_recommendation_the_numbers_are_those_of_the_best_arm_and_say_so():
    facts = key_facts(builders.none_useful())
    assert facts[0].value == "none"
    assert facts[1].label == "Exact match of RAG"
    assert facts[1].remark.startswith("the best arm, not recommended")


def test_an_arm_without_cost_or_score_is_not_measured_rather_than_blank():
    data = builders.winner()
    data = replace(data, costs=(), scores=(), verdict=replace(data.verdict, scores=()))
    assert [fact.value for fact in key_facts(data)[1:]] == ["not measured"] * 3


def test_what_would_settle_it_is_said_only_where_it_is_open():
    assert settling(builders.winner()) is None
    assert settling(builders.not_enough_cases()) == ("What would settle it: about 240 cases in all; this trial had 12.")


@pytest.mark.parametrize(
    ("relation", "said"),
    [
        (AdviceRelation(), None),
        (AdviceRelation("confirmed", "rag"), "The advice was retrieval (RAG). This trial confirms it."),
        (AdviceRelation("refuted", "prompting"), "The advice was prompting. This trial refutes it."),
        (
            AdviceRelation("undecided", "fine_tuning"),
            "The advice was fine-tuning. This trial neither confirms nor refutes it.",
        ),
    ],
)
def test_the_trial_says_what_became_of_the_advice(relation, said):
    assert advice_sentence(relation) == said


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (Contradiction("gap", "form", "typed", "No."), "You said that style and form matter most (typed). No."),
        (Contradiction("gap", "form", "data", "No."), (
            "On what the model lacks the answer was “form” (measured from the data). No."
        )),
        (Contradiction("base_knows_facts", True, "", "No."), "You said that the model knows the facts. No."),
        (Contradiction("latency_ms", 1500, "file", "No."), (
            "On how long users wait the answer was 1,500 (from a file of answers). No."
        )),
    ],
)  # fmt: skip
def test_a_contradicted_answer_is_given_back_in_words(found, line):
    assert contradiction_lines((found,)) == (line,)


def test_the_advice_of_a_quick_run_was_tried_quickly_and_the_section_says_so():
    data = builders.winner()
    quick = replace(data, scenario=replace(data.scenario, quick=True))
    notes = [[block.text for block in blocks_of(advice_section(one), Paragraph) if block.note] for one in (data, quick)]
    assert notes == [[], ["It was a quick run, with less tuning and fewer settings than a full one."]]


def test_a_quick_run_is_called_one_in_the_verdict():
    words = [block.text for block in blocks_of(summary_section(builders.not_enough_cases()), Paragraph)]
    assert any("quick run" in text for text in words)


def test_the_score_table_marks_control_and_recommended_arm_and_counts_failures_and_cuts():
    table = main_table(builders.winner())
    assert table.rows[0] == ("RAG + LoRA (recommended)", "75 % (62 to 87 %)", "40", "0", "0")
    assert table.rows[-2:] == (
        ("Prompt", "25 % (12 to 37 %)", "40", "2", "3"),
        ("Constant answer (control)", "3 % (0 to 15 %)", "40", "0", "0"),
    )
    assert table.marked == {0}


def test_the_picture_says_in_words_what_it_draws_and_leaves_out_what_was_not_measured():
    data = builders.none_useful()
    drawn = picture(data)
    assert (drawn.top, drawn.target, drawn.target_text) == (0.6, 0.6, "Target: 60 %")
    assert [bar.text for bar in drawn.bars] == ["10 % (0 to 22 %)", "8 % (0 to 20 %)", "5 % (0 to 17 %)"]
    scores = tuple(replace(score, low=math.nan) for score in data.verdict.scores)
    assert picture(replace(data, verdict=replace(data.verdict, scores=scores))).bars == ()


def comparison(**changes):
    made = Comparison("accuracy", "rag", "prompt", 40, 0, 0, 0.1, 0.02, 0.18, 0.03, 0.17, 0.01, 0.03, "permutation")
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "RAG ahead"),
        ({"difference": -0.1}, "Prompt ahead"),
        ({"p_adjusted": 0.05}, "not told apart"),
        ({"p_adjusted": 0.6, "low_equivalence": -0.04, "high_equivalence": 0.04}, "no gap of 5 points"),
        ({"p_adjusted": 0.6, "low_equivalence": -0.05, "high_equivalence": 0.04}, "not told apart"),
        ({"p_adjusted": math.nan}, "could not be tested"),
        ({"difference": math.nan}, "could not be tested"),
        ({"p_adjusted": 0.6, "low_equivalence": math.nan, "high_equivalence": math.nan}, "not told apart"),
    ],
)
def test_a_pair_is_read_by_its_adjusted_p_and_what_was_not_measured_shows_nothing(changes, said):
    assert reading(comparison(**changes), alpha=0.05, margin=0.05) == said


def test_the_pairwise_table_has_one_method_in_its_caption_and_several_in_a_column():
    data = builders.winner()
    [table] = blocks_of(pairs_section(data), Table)
    assert table.caption == "Differences in Exact match (exact McNemar, 40 cases)"
    assert table.rows[0] == (
        "RAG + LoRA against RAG",
        "+20 points (5 to 34)",
        "RAG + LoRA ahead",
        "0.02",
        "0.02",
        "11",
        "3",
    )
    first, *others = data.verdict.comparisons
    mixed = (replace(first, method="permutation, clustered", clusters=9), *others)
    [table] = blocks_of(pairs_section(replace(data, verdict=replace(data.verdict, comparisons=mixed))), Table)
    assert table.rows[0][-1] == "permutation, clustered (9 groups), 40 cases"


def test_graded_metrics_have_no_discordant_counts():
    [table] = blocks_of(pairs_section(builders.tie()), Table)
    assert [column.title for column in table.columns][-1] == "p, adjusted"


def with_axes(facts, form):
    """The winner's run, the best arm ahead of RAG by so much in facts and in form (p < 0.001 unless 0)."""
    data = builders.winner()
    pair = replace(data.verdict.comparisons[0], first="rag_lora", second="rag", low=-0.1, high=0.3)
    axes = tuple(
        replace(pair, metric=metric, difference=gap, p=0.0001 if gap else 1.0, p_adjusted=0.0001 if gap else 1.0)
        for metric, gap in (("contains", facts), ("in_form", form))
    )
    return replace(data, verdict=replace(data.verdict, axes=axes))


@pytest.mark.parametrize(
    ("facts", "form", "said"),
    [
        (0.2, 0.3, "is ahead in facts and form."),
        (0.2, 0, "is ahead in facts and not told apart in form."),
        (0, 0.3, "is ahead in form and not told apart in facts. Only its lead in form is shown"),
        (-0.2, 0.3, "is ahead in form and behind in facts. Only its lead in form is shown"),
        (0, 0, "is not told apart in facts and form."),
    ],
)
def test_the_report_says_on_which_axis_an_arm_leads(facts, form, said):
    assert said in form_section(with_axes(facts, form)).blocks[0].text


def test_facts_or_form_is_absent_without_both_axes():
    data = with_axes(0.2, 0.3)
    one = replace(data, verdict=replace(data.verdict, axes=data.verdict.axes[:1]))
    assert form_section(one) is None
    assert form_section(builders.could_not_compare()) is None


ARMS = ("prompt", "rag", "lora")


@pytest.mark.parametrize(
    ("right", "title"),
    [
        (ARMS, "All right"),
        ((), "None right"),
        (("rag",), "Only RAG right"),
        (("rag", "lora"), "All right but Prompt"),
    ],
)
def test_a_case_belongs_to_the_arms_that_got_it_right(right, title):
    assert right_group(right, ARMS) == title


def test_several_winners_among_many_arms_are_named():
    assert right_group(("rag", "lora"), (*ARMS, "few_shot")) == "Only RAG and LoRA right"


@pytest.mark.parametrize(
    ("values", "title"),
    [
        ({"rag": 0.9, "prompt": 0.8}, "Best: RAG"),
        ({"rag": 0.9, "prompt": 0.81}, "About equal"),
        ({"rag": 0.0, "prompt": 0.0}, "No arm scored"),
        ({"rag": 0.4}, "About equal"),
    ],
)
def test_a_graded_case_belongs_to_the_arm_that_is_ahead_by_ten_points(values, title):
    assert graded_group(values) == title


def test_the_browser_has_every_case_once_with_every_answer():
    data = builders.winner()
    [browser] = blocks_of(cases_section(data), CaseBrowser)
    ids = [case.id for group in browser.groups for case in group.cases]
    assert sorted(ids) == [case.id for case in data.cases]
    assert {len(case.answers) for group in browser.groups for case in group.cases} == {6}


def test_a_metric_without_values_for_single_cases_is_replaced_and_the_report_says_so():
    data = builders.winner()
    data = replace(data, verdict=replace(data.verdict, metric="macro_f1"))
    opening = blocks_of(cases_section(data), Paragraph)[0].text
    assert opening.startswith("Macro F1 has no value for one case. Grouped by which arms were right in Exact match.")


def answers_of(data, case_id):
    [browser] = blocks_of(cases_section(data), CaseBrowser)
    [found] = [case for group in browser.groups for case in group.cases if case.id == case_id]
    return {answer.arm: answer for answer in found.answers}


def test_a_failed_a_cut_and_a_missing_answer_say_what_happened():
    data = builders.winner()
    gone = tuple(made for made in data.predictions if (made.case_id, made.arm) != ("q005", "rag"))
    scores = tuple(score for score in data.case_scores if (score.case_id, score.arm) != ("q005", "rag"))
    answers = answers_of(replace(data, predictions=gone, case_scores=scores), "q005")
    assert answers["Prompt"].remark == "nothing in it that counts as an answer"
    assert (answers["RAG"].mark, answers["RAG"].score) == (Mark.MISSING, "not measured")
    assert answers["RAG"].remark == "no answer was recorded"
    assert answers_of(data, "q017")["Prompt"].remark == "cut off at the longest length"


def test_the_raw_text_is_kept_only_where_it_is_more_than_the_answer():
    answers = answers_of(builders.winner(), "q005")
    assert answers["RAG + LoRA"].raw.endswith("That is all.")
    assert answers_of(builders.winner(), "q006")["RAG + LoRA"].raw == ""


def test_removed_training_rows_are_all_counted_and_twenty_are_listed():
    data = builders.winner()
    removed = tuple(RemovedRow(f"t{i}", f"q{i}", "exact") for i in range(1234))
    section = left_out_section(replace(data, scenario=replace(data.scenario, removed=removed)))
    table = blocks_of(section, Table)[1]
    assert table.caption == "Training examples removed, the first 20 of 1,234"
    assert len(table.rows) == 20
    assert any("1,234 training examples stood in the eval set" in p.text for p in blocks_of(section, Paragraph))


def test_the_appendix_has_rule_provenance_and_limits():
    appendix = build_report(builders.winner()).sections[-1]
    values = {fact.label: fact.value for block in blocks_of(appendix, Facts) for fact in block.facts}
    assert values["Smallest difference worth having (margin)"] == "5 points"
    assert values["Digest of the rule (SHA-256)"] == builders.RULE.digest
    assert values["Threads"] == "2 of 2 cores"
    assert values["Seed of the run"] == "7"


def test_unknown_arms_and_metrics_are_shown_by_their_own_names():
    data = builders.large(cases=4, arms=3)
    assert main_table(data).rows[0][0].startswith("arm_")
    metric = tuple(replace(score, metric="house_style") for score in data.verdict.scores)
    data = replace(data, scores=metric, verdict=replace(data.verdict, metric="house_style", scores=metric))
    assert "house_style" in main_table(data).columns[1].title


def test_a_report_needs_no_scores_of_single_cases():
    data = replace(builders.winner(), case_scores=())
    [browser] = blocks_of(cases_section(data), CaseBrowser)
    assert [group.title for group in browser.groups] == ["All cases"]


def test_every_bar_stays_on_its_axis():
    for build in builders.ALL_KINDS:
        for section in build_report(build()).sections:
            for block in blocks_of(section, Intervals):
                assert all(0 <= bar.low <= bar.value <= bar.high <= block.top for bar in block.bars)


def test_the_kinds_of_verdict_are_all_tried_here():
    assert {build().verdict.kind for build in builders.ALL_KINDS} == set(VerdictKind)
