"""The first page, by what the trial came to."""

import math
from dataclasses import replace

import builders
import msgspec
import pytest

from harness.publish.blocks import Bullets, Facts, Lines, Paragraph, Scatter
from harness.publish.client_file import TokenPrices
from harness.publish.markdown import to_markdown
from harness.records import Finding, OtherVerdict, Reading, Reversal, Standing, Stopped, VerdictKind
from harness.report.advice_file import AdviceFile, Bills
from harness.report.content import build_report
from harness.report.sections.cases import cases_section
from harness.report.sections.cost import cost_section
from harness.report.sections.examples import examples_section
from harness.report.sections.runs import changes, runs_section
from harness.report.sections.summary import (
    closest_rival,
    cost_fact,
    next_step,
    reasons_to_change,
    summary_section,
    update_fact,
)
from harness.report.sections.volume import volume_section


def blocks(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


@pytest.mark.parametrize("build", builders.ALL_KINDS)
def test_the_first_page_has_its_question_one_lead_three_numbers_and_a_next_step(build):
    section = summary_section(build())
    paragraphs = blocks(section, Paragraph)
    assert paragraphs[0].text.startswith("The question: for “branches”, ")
    assert [p.text for p in paragraphs if p.lead] == [build().verdict.sentences[0]]
    [facts] = blocks(section, Facts)
    assert len(facts.facts) == (3 if build is not builders.could_not_compare else 1)
    assert paragraphs[-1].text == next_step(build())
    assert blocks(section, Bullets)[0].items[-1].startswith("Another model: ")


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (builders.winner, "Build RAG + LoRA as it was set up here"),
        (builders.tie, "Start with the prompt, the cheapest of the arms that do the job equally well"),
        (builders.none_useful, "Build none of these yet."),
        (builders.not_enough_cases, "Collect about 228 more cases"),
        (builders.failed_arm, "Build RAG as it was set up here"),
        (builders.could_not_compare, "Mend what stopped the arms"),
    ],
)
def test_the_next_step_follows_from_the_verdict(build, words):
    assert next_step(build()).startswith(words)


def test_a_tie_is_broken_by_a_rival_that_is_ahead_by_what_counts():
    assert reasons_to_change(builders.tie())[0].startswith(
        "New cases on which RAG is ahead of the prompt by the 5 points that count; in this trial it was +"
    )


def test_a_quick_run_with_too_few_cases_asks_for_more_and_for_a_full_run():
    assert "then run the full trial" in next_step(builders.not_enough_cases())
    quick = builders.winner()
    quick = replace(quick, scenario=replace(quick.scenario, quick=True))
    assert next_step(quick) == "Run the full trial (this one was a quick first look); then decide."


def test_too_few_cases_ask_for_those_that_are_missing_and_call_the_choice_provisional():
    data = builders.not_enough_cases()
    data = replace(data, scenario=replace(data.scenario, quick=False))
    assert next_step(data).startswith("Collect about 228 more cases")
    assert "call it provisional" in next_step(data)


def test_an_exploratory_verdict_is_to_be_confirmed_first():
    data = builders.winner()
    data = replace(data, verdict=replace(data.verdict, exploratory=("margin",)))
    assert next_step(data).startswith("Confirm the verdict on cases that nobody has seen answers to")


def test_the_strongest_rival_is_named_with_the_lead_over_it():
    assert reasons_to_change(builders.winner())[0] == (
        "New cases on which RAG + LoRA is not ahead of RAG by the 5 points that count; in this trial it was +20 points "
        "(5 to 34)."
    )


def test_the_rival_is_always_the_second_of_the_pair():
    data = builders.winner()
    [pair] = [one for one in data.verdict.comparisons if {one.first, one.second} == {"rag_lora", "rag"}]
    turned = replace(pair, first="rag", second="rag_lora", difference=-pair.difference, low=-pair.high, high=-pair.low)
    rest = tuple(one for one in data.verdict.comparisons if one is not pair)
    data = replace(data, verdict=replace(data.verdict, comparisons=(turned, *rest)))
    assert closest_rival(data).difference == pytest.approx(pair.difference)


def test_metrics_and_weights_that_would_change_the_choice_are_named():
    data = builders.winner()
    totals = {"rag_lora": 0.6, "prompt": 0.5}
    standing = Standing({"quality": 3.0, "cost": 1.0}, (), totals, totals, {}, (Reversal("cost", 0.4, "prompt"),))
    verdict = replace(
        data.verdict,
        under_other_metrics=(OtherVerdict("contains", VerdictKind.WINNER, "rag"),),
        standing=standing,
    )
    said = " ".join(reasons_to_change(replace(data, verdict=verdict)))
    assert "the same rule recommends another arm by Contains the answer (RAG)" in said
    assert "More weight on cost: at 40 % instead of 25 % the prompt comes first" in said


def test_without_prices_a_thousand_requests_are_tokens_and_with_them_money():
    data = builders.winner()
    assert cost_fact(data, "rag_lora").value == "619,650 tokens"
    assert "no prices were given" in cost_fact(data, "rag_lora").remark
    paid = replace(data, prices=TokenPrices("EUR", 1.0, 10.0))
    fact = cost_fact(paid, "rag_lora")
    assert fact.value == "€0.69"  # (612.25 x 1 + 7.4 x 10) / 1e6 x 1000
    assert fact.remark.endswith("at the client's own prices")


def test_the_time_to_update_is_the_fastest_that_was_measured():
    readings = (
        Reading("rag_lora", "nothing updated", "exact_match", 0.1, 0.0, 0.2),
        Reading("rag_lora", "trained anew", "exact_match", 0.6, 0.4, 0.8),
        Reading("rag_lora", "index made anew", "exact_match", 0.5, 0.3, 0.7),
        Reading("rag_lora", "trained anew", "time to update", 168.0, unit="seconds"),
        Reading("rag_lora", "index made anew", "time to update", 1.1, unit="seconds"),
    )
    data = replace(builders.winner(), findings=(Finding("facts_change", (), readings),))
    fact = update_fact(data, "rag_lora")
    assert (fact.value, fact.remark) == ("1.1 s", "index made anew; measured on changed documents")
    useless = replace(readings[2], value=0.11, low=0.02)
    data = replace(data, findings=(Finding("facts_change", (), (*readings[:2], useless, *readings[3:])),))
    assert update_fact(data, "rag_lora").value == "2 min 48 s"


def test_where_the_criteria_prefer_another_arm_that_is_said_and_no_weight_for_the_recommended_one():
    data = builders.winner()
    totals, chances = {"rag_lora": 0.42, "lora": 0.65}, {"rag_lora": 0.1, "lora": 0.9}
    standing = Standing({"quality": 1.0, "cost": 1.0}, (), totals, chances, {}, (Reversal("quality", 0.7, "rag_lora"),))
    said = reasons_to_change(replace(data, verdict=replace(data.verdict, standing=standing)))
    assert "All criteria weighed together: then LoRA comes first, with a probability of 90 %." in said
    assert not any("RAG + LoRA comes first" in one for one in said)


def test_an_advice_that_was_not_on_trial_is_called_another_one():
    bills = Bills("USD", "2026-01-01", 100.0, ())
    brought = AdviceFile("2026-01-01T00:00:00Z", "T", "fine_tuning", (), bills)
    paragraphs = [p.text for p in blocks(summary_section(replace(builders.winner(), advice=brought)), Paragraph)]
    assert any("another one: fine-tuning. It was not on trial." in text for text in paragraphs)


def test_examples_look_only_at_cases_that_both_arms_answered():
    data = builders.winner()
    kept = tuple(one for one in data.case_scores if not (one.arm == "rag" and one.case_id > "q010"))
    text = blocks(examples_section(replace(data, case_scores=kept)), Paragraph)[0].text
    assert "RAG + LoRA is right and the other is wrong on 0 and RAG on 0." in text  # they agree on the first eleven


def test_runs_on_other_documents_or_with_another_verdict_are_not_alike():
    first = builders.winner()
    digests = {**first.provenance.input_digests, "corpus.jsonl": "ee" * 32}
    other = replace(first, provenance=replace(first.provenance, input_digests=digests))
    assert changes((first, other))[0].startswith("Run 2 differs from the first in documents, ")
    looked = replace(first, verdict=replace(first.verdict, exploratory=("margin",)))
    assert "comes to another verdict: RAG + LoRA wins (exploratory)" in changes((first, looked))[0]


@pytest.mark.parametrize(
    ("arm", "value"),
    [("rag_lora", "3 min 20 s"), ("prompt", "an edit"), ("rag", "not measured"), ("x", "not measured")],
)
def test_without_that_experiment_the_time_to_update_is_what_is_known(arm, value):
    assert update_fact(builders.winner(), arm).value == value


def test_without_prices_there_is_no_section_on_volume_and_with_the_clients_there_is_no_bill():
    assert volume_section(builders.winner()) is None
    section = volume_section(replace(builders.winner(), prices=TokenPrices("USD", 1.0, 10.0)))
    [table] = [block for block in section.blocks if hasattr(block, "rows")]
    assert [column.title for column in table.columns] == ["Arm", "Priced as", "1,000 requests"]
    assert table.rows[0] == ("RAG + LoRA (recommended)", "one price for all", "$0.69")


def brought(currency="USD", **once):
    """An advice whose bills differ in what is paid once, by approach."""
    bills = [
        {"approach": name, "once": paid, "monthly": 0.0, "per_request": 0.0, "items": []} for name, paid in once.items()
    ]
    told = {"currency": currency, "prices_date": "2026-01-01", "requests_per_day": 800.0, "approaches": bills}
    return AdviceFile("2026-01-01T00:00:00Z", "T", "rag", (), msgspec.convert(told, Bills))


def priced_winner(advice, **tokens):
    data = builders.winner()
    costs = tuple(replace(one, tokens_in=tokens.get(one.arm, one.tokens_in)) for one in data.costs)
    return replace(data, costs=costs, advice=advice, prices=TokenPrices("USD", 1.0, 10.0))


@pytest.mark.parametrize(
    ("once", "tokens", "said"),
    [
        (
            {"rag_fine_tuning": 0.0, "prompting": 1000.0},
            {"rag_lora": 600.0, "prompt": 300.0},
            "Above about 9,100 requests a day the prompt is cheaper over the first year; below it, RAG + LoRA.",
        ),
        (
            {"rag_fine_tuning": 1000.0, "prompting": 0.0},
            {"rag_lora": 300.0, "prompt": 600.0},
            "Above about 9,100 requests a day RAG + LoRA is cheaper over the first year; below it, the prompt.",
        ),
        (
            {"rag_fine_tuning": 1000.0, "prompting": 0.0},
            {"rag_lora": 600.0, "prompt": 300.0},
            "The prompt is cheaper than RAG + LoRA over the first year at every volume looked at.",
        ),
        (
            {"rag_fine_tuning": 0.0, "prompting": 1000.0},
            {"rag_lora": 300.0, "prompt": 300.0},
            "RAG + LoRA is cheaper than the prompt over the first year at every volume looked at.",
        ),
        (
            {"rag_fine_tuning": 1000.0, "prompting": 1000.0},
            {"rag_lora": 300.0, "prompt": 300.0},
            "RAG + LoRA and the prompt cost the same over the first year.",
        ),
    ],
)
def test_where_two_arms_cost_the_same_is_said(once, tokens, said):
    section = volume_section(priced_winner(brought(**once), **tokens))
    [sentences] = blocks(section, Bullets)
    assert sentences.items == (said,)
    [picture] = blocks(section, Lines)
    assert [round(dot.x, -2) for dot in picture.dots] == ([9100.0] if "Above" in said else [])


def test_without_a_bill_for_the_recommended_arm_nothing_is_said_to_be_cheaper():
    section = volume_section(priced_winner(brought(prompting=0.0, rag=10.0)))
    assert blocks(section, Bullets) == []
    [picture] = blocks(section, Lines)
    assert (len(picture.lines), picture.dots) == (2, ())


def test_bills_in_another_currency_are_left_out_and_named():
    section = volume_section(priced_winner(brought("EUR", rag_fine_tuning=1.0, prompting=2.0)))
    said = blocks(section, Paragraph)[-1].text
    assert said.endswith("The advice's costs of building and upkeep are in EUR and so are left out.")
    assert blocks(section, Lines) == []


def test_where_nothing_was_timed_or_counted_no_picture_is_drawn():
    data = builders.winner()
    costs = tuple(
        replace(one, tokens_in=math.nan, latency_p50=None, latency_p95=None, latency_n=0) for one in data.costs
    )
    section = cost_section(replace(data, costs=costs))
    assert [type(block).__name__ for block in section.blocks] == ["Table", "Paragraph"]
    assert {row[3] for row in section.blocks[0].rows} == {"not measured"}
    assert "They were sent one at a time on the run's machine" in section.blocks[1].text
    assert cost_fact(replace(data, costs=costs), "rag").value == "not measured"
    assert cost_fact(replace(data, costs=()), "rag").value == "not measured"


def test_a_quality_that_one_arm_alone_has_is_set_against_no_cost():
    data = builders.winner()
    alone = cost_section(replace(data, costs=tuple(one for one in data.costs if one.arm == "rag")))
    assert not any(isinstance(block, Scatter) for block in alone.blocks)
    assert any(isinstance(block, Scatter) for block in cost_section(data).blocks)


def test_a_tie_that_recommends_none_is_told_to_choose_by_cost():
    data = builders.tie()
    said = next_step(replace(data, verdict=replace(data.verdict, arm=None)))
    assert said == "Choose by cost, speed and upkeep: quality does not tell these arms apart."


def test_where_nobody_can_say_how_many_cases_are_missing_no_number_is_told():
    data = builders.not_enough_cases()
    said = next_step(replace(data, verdict=replace(data.verdict, cases_needed=None)))
    assert said == "Collect more cases of the same kind, then run the full trial; nothing need be set up anew."


def test_examples_are_those_that_differ_most_and_the_rule_is_stated():
    section = examples_section(builders.winner())
    text = blocks(section, Paragraph)[0].text
    assert "RAG + LoRA is right and the other is wrong on 11 and RAG on 3" in text
    tables = [block for block in section.blocks if hasattr(block, "rows")]
    assert len(tables) == 6
    assert [row[2] for row in tables[0].rows[2:]] == ["right", "wrong"]
    assert [row[2] for row in tables[-1].rows[2:]] == ["wrong", "right"]


def test_runs_side_by_side_say_what_changed_and_test_nothing():
    first = builders.winner()
    other = replace(
        builders.tie(), provenance=replace(first.provenance, model="Bigger", started="2026-04-01T00:00:00Z")
    )
    assert runs_section(first) is None
    [said] = changes((first, other))
    assert said.startswith("Run 2 differs from the first in model, ")
    assert said.endswith("and comes to another verdict: A tie: use the prompt.")
    section = runs_section(replace(first, others=(other, first)))
    assert "no test was made between them" in blocks(section, Paragraph)[0].text
    assert changes((first, first)) == ("Run 2 was made alike, and comes to the same verdict: RAG + LoRA wins.",)
    assert "runs" in [one.anchor for one in build_report(replace(first, others=(other,))).sections]


def test_a_case_that_a_stopped_arm_was_not_asked_is_no_loss_of_it():
    data = builders.winner()
    asked = tuple(one for one in data.case_scores if not (one.arm == "lora" and one.case_id >= "q010"))
    before = {row[0]: int(row[1]) for row in cases_section(data).blocks[1].rows}
    after = {row[0]: int(row[1]) for row in cases_section(replace(data, case_scores=asked)).blocks[1].rows}
    assert sum(after.values()) == sum(before.values()) == 40
    assert after != before  # cases are grouped by those who answered them


def test_an_exploratory_report_never_says_that_the_rule_was_fixed_before():
    data = builders.winner()
    text = to_markdown(build_report(replace(data, verdict=replace(data.verdict, exploratory=("margin",)))))
    assert "ixed before the first answer" not in text
    assert "which was changed after answers had been seen" in text


def test_arms_that_were_stopped_did_not_answer_the_same_cases():
    data = builders.winner()
    stopped = (Stopped("prompt", "rag_lora", 12, 40, 300.0),)
    text = to_markdown(build_report(replace(data, verdict=replace(data.verdict, stopped=stopped))))
    assert "some were stopped early, shown to be worse: Prompt after 12." in text
    assert "Every approach answered the same" not in text


def test_bills_for_own_machines_are_not_added_to_a_price_for_tokens():
    item = {"name": "own machines", "amount": 500.0, "per": "month"}
    bill = {"approach": "rag_fine_tuning", "once": 10.0, "monthly": 510.0, "per_request": 0.0, "items": [item]}
    bills = msgspec.convert(
        {"currency": "USD", "prices_date": "2026-01-01", "requests_per_day": 800.0, "approaches": [bill]}, Bills
    )
    brought = AdviceFile("2026-01-01T00:00:00Z", "T", "rag", (), bills)
    section = volume_section(replace(builders.winner(), advice=brought, prices=TokenPrices("USD", 1.0, 10.0)))
    text = blocks(section, Paragraph)[-1].text
    assert "for machines of your own" in text
    assert not any(
        column.title == "Once" for block in section.blocks if hasattr(block, "columns") for column in block.columns
    )
