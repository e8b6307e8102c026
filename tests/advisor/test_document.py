"""The advice as a document: what stands in it, and that it says no more than the record does."""

import json
import re
from dataclasses import fields, is_dataclass, replace

import pytest
from publish.samples import NASTY

from advisor import api
from advisor.answers import combine, parse_set
from advisor.prices import read_prices
from advisor.records import APPROACHES, Answer, Conflict, Source, Standing
from advisor.render import words
from advisor.render.document import advice_report, plain_sections
from advisor.render.sections.costs import cost_picture
from advisor.render.sections.summary import headline, lead
from advisor.render.terminal import change_lines
from harness.publish.blocks import Bullets, Facts, Lines, Paragraph, Place, Table
from harness.publish.charts import Look, svg
from harness.publish.markdown import to_markdown
from harness.publish.stored import from_plain

ANCHORS = [
    "use-case", "options", "changes", "layers", "ladder", "costs", "risks", "readiness", "trial",
    "bills", "sources", "method",
]  # fmt: skip
"""What a report of a trial takes over is found by these."""

USE_CASES = {
    "facts": ("task=facts_qa", "gap=facts", "corpus_tokens=2m", "requests_per_day=2000", "fact_change_rate=daily"),
    "form": ("task=classification", "gap=form", "classes=77", "labelled_examples=5000", "eval_examples=400"),
    "one answer": ("task=agent",),
    "nothing can be done but prompting": ("task=extraction", "eval_examples=0", "corpus_tokens=0", "gap=none"),
    "both, in house": ("task=facts_qa", "gap=both", "labelled_examples=3000", "privacy=on_premises"),
    "no traffic": ("task=summarisation", "requests_per_day=0"),
    "don't know": ("task=unknown",),
}


def advised(*pairs, **context):
    return api.advise(combine(parse_set(pairs)), context=api.Context(**context))


@pytest.fixture(params=USE_CASES.values(), ids=USE_CASES)
def advice(request):
    return advised(*request.param, title="Acme")


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | frozenset):
        for one in value:
            yield from strings(one)
    elif is_dataclass(value):
        for field in fields(value):
            yield from strings(getattr(value, field.name))


def section(advice, anchor):
    return next(one for one in advice_report(advice).sections if one.anchor == anchor)


def blocks(advice, kind, anchor=None):
    return [
        block
        for one in advice_report(advice).sections
        if anchor in (None, one.anchor)
        for block in one.blocks
        if isinstance(block, kind)
    ]


def test_every_section_has_the_anchor_by_which_others_find_it(advice):
    report = advice_report(advice)
    assert [one.anchor for one in report.sections] == ANCHORS
    assert [one.anchor for one in report.sections if one.place is Place.APPENDIX] == ANCHORS[-3:]


def test_the_first_page_fits_a_page_and_has_what_a_first_page_needs(advice):
    summary = advice_report(advice).summary
    (facts,) = (block for block in summary.blocks if isinstance(block, Facts))
    (changes,) = (block for block in summary.blocks if isinstance(block, Bullets))
    leads = [block.text for block in summary.blocks if isinstance(block, Paragraph) and block.lead]
    assert facts.key
    assert len(facts.facts) == 3
    assert len(leads) == 1
    assert 2 <= len(changes.items) <= 4
    assert "Acme" in summary.blocks[0].text
    assert sum(len(text.split()) for text in strings(summary.blocks)) < 330


def test_no_number_stands_on_the_first_page_alone(advice):
    report = advice_report(advice)
    elsewhere = set(numbers_in(strings(report.sections)))
    assert set(numbers_in(strings(report.summary))) <= elsewhere | {"1,000"}


def numbers_in(texts):
    return (found.rstrip(".,") for text in texts for found in re.findall(r"\d[\d.,]*", text))


def test_no_table_has_a_row_of_another_length_and_no_text_is_empty(advice):
    for table in blocks(advice, Table):
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}
    report = advice_report(advice)
    assert all(one.blocks for one in report.sections)
    assert all(text.strip() for block in report.summary.blocks for text in strings(block) if isinstance(block, Bullets))


def test_no_sentence_shows_code_or_options_of_the_program_instead_of_words(advice):
    said = " ".join(strings(advice_report(advice).sections))
    assert "`" not in said
    assert "--set" not in said
    assert "None" not in set(strings(advice_report(advice).sections))


@pytest.mark.parametrize(
    ("band", "title", "said"),
    [
        ("very likely", "Advice: retrieval (RAG)", "very likely the right approach, with odds of at least 3 in 4."),
        ("likely", "Advice: retrieval (RAG)", "it is likely the right approach, with odds between 1 in 2 and 3 in 4."),
        ("possible", "Advice: lean towards retrieval (RAG)", "no more than possibly right (odds between 1 in 4 and"),
        ("unlikely", "Advice: retrieval (RAG), if anything; nothing is settled", "do not settle which"),
        ("very unlikely", "Advice: retrieval (RAG), if anything; nothing is settled", "do not settle which"),
        ("of another version", "Advice: retrieval (RAG), if anything; nothing is settled", "(odds of another version)"),
    ],
)
def test_the_headline_is_no_bolder_than_the_odds(band, title, said):
    standing = Standing("rag", 0.5, band, (), ())
    assert headline(standing) == title
    assert said in lead(standing)


def test_answers_are_shown_with_who_said_them_and_where_the_data_disagree():
    advice = advised("task=facts_qa", "labelled_examples=5000")
    said = next(one for one in advice.answers if one.key == "labelled_examples")
    measured = Answer("labelled_examples", 120, Source.DATA, "120 rows of train.jsonl")
    advice = replace(advice, conflicts=(Conflict("labelled_examples", said, measured),))
    answers, conflicts = blocks(advice, Table, "use-case")
    assert answers.rows[0][:2] == ("What should the AI model do?", "Answer questions about facts")
    assert conflicts.rows[0][1:] == ("5,000 examples", "120 examples", "120 rows of train.jsonl")
    assert any("contradict" in text for text in strings(advice_report(advice).summary))


def test_the_ranking_marks_the_advised_and_says_why_others_are_ruled_out():
    advice = advised(*USE_CASES["facts"])
    ranking = blocks(advice, Table, "options")[0]
    assert ranking.marked == {0}
    assert ranking.rows[0][0] == "Retrieval (RAG) (advised)"
    (out,) = (row for row in ranking.rows if row[2] == "Ruled out")
    assert "out of date before it is in use" in out[3]


def test_reasons_come_with_points_grade_and_sources_that_the_appendix_names():
    advice = advised(*USE_CASES["form"])
    named = {row[0] for row in blocks(advice, Table, "sources")[0].rows}
    tables = [one for one in blocks(advice, Table, "options") if one.columns[0].title == "Side"]
    assert tables
    for side, points, reason, grade, sources in (row for table in tables for row in table.rows):
        assert reason
        assert set(sources.split(", ")) <= named
        if side != "Ruled out":
            assert grade in words.GRADES
            assert points.startswith("+" if side == "For" else "−")


def test_each_single_answer_that_changes_the_advice_is_a_sentence_of_the_first_list():
    advice = advised(*USE_CASES["form"])
    listed = blocks(advice, Bullets, "changes")[0].items
    assert listed == tuple(words.flip_text(flip) for flip in advice.sensitivity.flips)
    advice = replace(advice, sensitivity=replace(advice.sensitivity, flips=(), open_questions=()))
    assert not blocks(advice, Bullets, "changes")
    assert "No other answer to a single question would change the advice." in strings(advice_report(advice).summary)


def test_the_trial_names_arms_cases_and_the_gain_that_pays():
    advice = advised(*USE_CASES["facts"], error_cost=5.0)
    tables = {one.caption: one for one in blocks(advice, Table, "trial")}
    assert [row[0] for row in tables["Arms worth running"].rows] == ["Prompt", "Nearest shots", "RAG", "RAG + LoRA"]
    assert "about 200" in {row[1] for row in tables["Cases with right answers, kept apart from all else"].rows}
    assert "Gain that pays" in tables
    assert "Gain that pays" not in {one.caption for one in blocks(advised(*USE_CASES["facts"]), Table, "trial")}


def test_where_the_data_cannot_run_the_advised_arm_that_is_said_instead_of_a_command():
    advice = advised(*USE_CASES["facts"], arms=("prompt",))
    assert "cannot put this advice on trial yet" in advice_report(advice).summary.blocks[-1].text
    assert not any("bakeoff run" in text for text in strings(section(advice, "trial")))


def test_all_sections_read_back_from_the_json_that_is_stored(advice):
    stored = json.loads(api.json_of(advice, sections=plain_sections(advice)))["sections"]
    assert tuple(from_plain(one) for one in stored) == advice_report(advice).sections


def test_a_hostile_title_and_note_stay_text_in_markdown():
    advice = advised("task=code", title=NASTY)
    noted = tuple(replace(answer, note=NASTY) for answer in advice.answers)
    text = to_markdown(advice_report(replace(advice, answers=noted, stopped_because=NASTY)))
    assert "\x1b" not in text
    assert "<script" not in text
    assert "\n# Advice" not in text[2:]


def test_a_document_without_pictures_says_in_which_file_the_picture_is():
    advice = advised("task=code")
    assert any("costs.svg" in text for text in strings(advice_report(advice, picture_file="costs.svg")))
    assert not any(".svg" in text for text in strings(advice_report(advice)))


# ---- the picture of cost against volume

BUSY = advised("task=classification", "gap=form", "requests_per_day=40000", "labelled_examples=5000")


def test_each_approach_has_its_line_its_own_tone_and_the_advised_is_marked():
    lines = cost_picture(BUSY).lines
    assert [line.label for line in lines] == [words.TITLES[approach] for approach in APPROACHES]
    assert [line.tone for line in lines] == list(range(len(APPROACHES)))
    assert [line.label for line in lines if line.marked] == [words.TITLES[BUSY.recommendation.approach]]


def test_the_asked_volume_is_named_and_an_assumed_one_is_called_so():
    assert cost_picture(BUSY).upright == ((40_000, "this use case: 40,000 a day"),)
    assert cost_picture(advised("task=code")).upright == ((1_000, "assumed: 1,000 a day"),)
    assert cost_picture(advised("task=code", "requests_per_day=0")).upright == ()


def test_each_break_even_of_the_advised_has_a_dot_and_that_with_the_runner_up_a_ring():
    found, dots = BUSY.recommendation, cost_picture(BUSY).dots
    evens = [
        one
        for one in BUSY.costs.break_evens
        if found.approach in (one.first, one.second) and one.requests_per_day and 10 <= one.requests_per_day <= 1e6
    ]
    assert sorted(dot.x for dot in dots) == sorted(one.requests_per_day for one in evens)
    rings = [one.requests_per_day for one in evens if found.runner_up in (one.first, one.second)]
    assert [dot.x for dot in dots if dot.marked] == rings


def test_the_picture_is_told_in_words():
    alt = cost_picture(BUSY).alt
    assert "At 40,000 requests a day: Prompting $" in alt
    assert f"Advised: {words.TITLES[BUSY.recommendation.approach]}." in alt


def test_all_points_lie_on_the_axes(advice):
    picture = cost_picture(advice)
    for axis, values in (
        (picture.x, [x for line in picture.lines for x, _ in line.points]),
        (picture.y, [y for line in picture.lines for _, y in line.points]),
    ):
        places = [place for place, _ in axis.ticks]
        assert places == sorted(set(places))
        assert places[0] <= min(values) * (1 + 1e-9)
        assert places[-1] >= max(values) * (1 - 1e-9)


def test_what_is_free_of_charge_can_be_drawn_too():
    free = read_prices(None)
    figures = {name: 1.0 if "speed" in name or "peak" in name else 0.0 for name in free.figures}
    picture = cost_picture(advised("task=code", prices=type(free)(free.date, "USD", figures)))
    assert isinstance(picture, Lines)
    assert "<svg" in svg(picture, Look())


def test_what_there_is_none_of_is_said_and_no_empty_table_is_shown():
    advice = advised("task=facts_qa", "gap=facts", "corpus_tokens=2m")
    bare = replace(advice, answers=(), conflicts=(), risks=(), hypothesis=replace(advice.hypothesis, arms=()))
    texts = [block.text for block in blocks(bare, Paragraph)]
    assert "No question was answered; the odds rest on what is usual." in texts
    assert "No risk is known that this use case has and others have not." in texts
    captions = [table.caption for table in blocks(bare, Table)]
    assert "Arms worth running" in [table.caption for table in blocks(advice, Table)]
    assert not {"Arms worth running", "Risks to watch"} & set(captions)
    assert all(table.rows for table in blocks(bare, Table))


def test_work_that_the_bill_does_not_name_is_money_paid_once():
    advice = advised("task=facts_qa", "gap=facts", "corpus_tokens=2m")
    assert re.fullmatch(r"\d+ days", third_fact(advice).value)
    bills = tuple(
        replace(bill, items=tuple(item for item in bill.items if item.name != "building"))
        for bill in advice.costs.approaches
    )
    paid = third_fact(replace(advice, costs=replace(advice.costs, approaches=bills)))
    assert (paid.label, paid.remark) == ("To set it up", "paid once; an estimate")
    assert paid.value.startswith("$")


def third_fact(advice):
    (facts,) = (block for block in advice_report(advice).summary.blocks if isinstance(block, Facts))
    return facts.facts[2]


def test_an_advice_that_no_answer_would_change_says_so():
    advice = advised("task=facts_qa", "gap=facts", "corpus_tokens=2m")
    assert "no single change of an answer would" not in list(change_lines(advice))
    steady = replace(advice, sensitivity=replace(advice.sensitivity, flips=()))
    assert next(change_lines(steady)) == "no single change of an answer would"
