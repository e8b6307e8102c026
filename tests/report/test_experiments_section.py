"""Experiments and criteria in the report."""

from dataclasses import replace

import builders
import pytest

from harness.publish.blocks import Bullets, Intervals, Lines, Paragraph, Parts, Table
from harness.records import CriterionValue, Finding, Reading, Reversal, Standing
from harness.report.sections.criteria import criteria_section
from harness.report.sections.experiments import (
    LATER,
    experiment_tables_section,
    experiments_section,
    losses_section,
)

READINGS = (
    Reading("lora", "24 examples", "exact_match", 0.4, 0.3, 0.5, n=40),
    Reading("lora", "as run", "exact_match", 0.6, 0.5, 0.7, n=40),
    Reading("judge", "people", "kappa", 0.41, 0.2, 0.6, n=80, unit="ratio"),
)


def section(*findings):
    return experiments_section(replace(builders.winner(), findings=findings))


def blocks(found, kind):
    return [block for block in found.blocks if isinstance(block, kind)]


def test_without_experiments_there_is_no_section():
    assert section() is None
    assert criteria_section(builders.winner()) is None


def test_an_experiment_has_its_question_its_sentences_and_its_numbers():
    found = section(Finding("learning_curve", ("More would pay.",), READINGS, seconds=75))
    assert any("Would more labels pay? It took 1 min 15 s." in p.text for p in blocks(found, Paragraph))
    assert blocks(found, Bullets)[0].items == ("More would pay.",)
    data = replace(builders.winner(), findings=(Finding("learning_curve", ("x",), READINGS),))
    [table] = experiment_tables_section(data).blocks
    assert [column.title for column in table.columns] == [
        "Arm",
        "Condition",
        "Exact match",
        "Agreement with people (kappa)",
        "Cases",
    ]
    assert table.rows[0] == ("LoRA", "24 examples", "40 % (30 to 50 %)", "–", "40")
    assert table.rows[2] == ("judge", "people", "–", "0.41 (0.20 to 0.60)", "80")


def test_readings_are_written_in_their_units():
    readings = (
        Reading("rag", "a", "seconds", 75.0, n=1, unit="seconds"),
        Reading("rag", "b", "count", 1234.0, n=1, unit="count"),
        Reading("rag", "c", "share", 0.5, n=1, unit="share"),
        Reading("rag", "d", "score", 0.5, n=1, unit="points"),
        Reading("rag", "e", "kappa", 0.5, n=1, unit="ratio"),
    )
    data = replace(builders.winner(), findings=(Finding("latency", ("x",), readings),))
    [table] = experiment_tables_section(data).blocks
    written = [row[2 + place] for place, row in enumerate(table.rows)]
    assert written == ["1 min 15 s", "1,234", "50 %", "50 points", "0.50"]


def test_a_learning_curve_is_a_line_over_the_examples_and_arms_that_need_none_are_levels():
    readings = (READINGS[0], replace(READINGS[1], condition="1,200 examples"))
    [picture] = blocks(section(Finding("learning_curve", (), readings)), Lines)
    [line] = picture.lines
    assert (line.points, line.spread) == (((24.0, 0.4), (1200.0, 0.6)), ((0.3, 0.5), (0.5, 0.7)))
    assert (0.55, "RAG") in picture.level
    assert "LoRA 40 % (30 to 50 %) with 24, 60 % (50 to 70 %) with 1,200" in picture.alt


def test_what_is_seen_best_side_by_side_is_a_picture_of_intervals():
    readings = tuple(
        replace(one, condition=name) for one, name in zip(READINGS, ("as run", "held to the form", ""), strict=True)
    )
    [picture] = blocks(section(Finding("form", (), readings)), Intervals)
    assert [bar.label for bar in picture.bars] == ["LoRA, as run", "LoRA, held to the form"]


def test_losses_are_counted_by_what_went_wrong_only_where_the_right_document_is_known():
    data = builders.winner()
    assert losses_section(data) is None
    hits = tuple(
        replace(one, values={**one.values, "hit_at_k": float(i % 4 > 0)}) if one.arm == "rag" else one
        for i, one in enumerate(data.case_scores)
    )
    [picture] = blocks(losses_section(replace(data, case_scores=hits)), Parts)
    [row] = picture.rows
    assert (row.label, sum(row.sizes), row.sizes[0]) == ("RAG", 40, 22)
    assert "RAG: 22 right" in picture.alt


def test_an_arm_that_was_not_scored_has_no_losses():
    data = builders.winner()
    hits = tuple(
        replace(one, values={**one.values, "hit_at_k": 1.0}) if one.arm.startswith("rag") else one
        for one in data.case_scores
    )
    without = tuple(one for one in hits if one.arm != "rag")
    rows = [
        [row.label for row in blocks(losses_section(replace(data, case_scores=one)), Parts)[0].rows]
        for one in (hits, without)
    ]
    assert rows == [["RAG + LoRA", "RAG"], ["RAG + LoRA"]]


def test_what_was_asked_for_later_is_said_to_be_exploratory():
    found = section(Finding("form", ("x",), added_later=True))
    assert LATER in [p.text for p in blocks(found, Paragraph)]


def test_criteria_name_the_best_arm_the_weights_that_change_it_and_what_was_not_measured():
    standing = Standing(
        weights={"quality": 3.0, "cost": 1.0},
        values=tuple(
            CriterionValue(arm, name, value, written)
            for arm, name, value, written in (
                ("rag", "quality", 0.5, "50 %"),
                ("rag", "cost", 0.2, "400 tokens"),
                ("prompt", "quality", 0.2, "20 %"),
                ("prompt", "cost", 1.0, "80 tokens"),
            )
        ),
        totals={"prompt": 0.4, "rag": 0.425},
        best_probability={"prompt": 0.3, "rag": 0.7},
        best_whatever={"prompt": 0.6, "rag": 0.4},
        reversals=(Reversal("cost", 0.2727, "prompt"),),
        unmeasured=("freshness",),
    )
    data = builders.winner()
    found = criteria_section(replace(data, verdict=replace(data.verdict, standing=standing)))
    said = " ".join(p.text for p in blocks(found, Paragraph))
    assert "Weights: quality 75 %, cost 25 %. Under them RAG comes first, with a probability of 70 %." in said
    assert "left out: freshness." in said
    together, apart = blocks(found, Table)
    assert together.rows[0] == ("RAG", "0.42", "70 %", "40 %")
    assert apart.rows[0] == ("RAG", "0.50 (50 %)", "0.20 (400 tokens)")
    assert blocks(found, Bullets)[0].items == (
        "If cost weighed just above 27 % instead of 25 %, the prompt would come first.",
    )


@pytest.mark.parametrize("weights", [{"quality": 3.0, "cost": 1.0}, {"quality": 1.0}])
def test_a_choice_that_no_weight_would_change_is_said_where_there_is_more_than_one(weights):
    standing = Standing(
        weights=weights,
        values=tuple(CriterionValue(arm, name, 0.5, "x") for arm in ("rag", "prompt") for name in weights),
        totals={"prompt": 0.4, "rag": 0.5},
        best_probability={"prompt": 0.3, "rag": 0.7},
        best_whatever={"prompt": 0.4, "rag": 0.6},
        reversals=(),
    )
    data = builders.winner()
    found = criteria_section(replace(data, verdict=replace(data.verdict, standing=standing)))
    said = " ".join(p.text for p in blocks(found, Paragraph))
    assert ("No weight of a single criterion would make another arm the best." in said) == (len(weights) > 1)
    assert "left out" not in said.replace("were left out", "")
    assert not blocks(found, Bullets)
