"""Experiments and criteria in the report."""

from dataclasses import replace

import builders

from harness.publish.blocks import Bullets, Intervals, Paragraph, Table
from harness.records import CriterionValue, Finding, Reading, Reversal, Standing
from harness.report.sections.criteria import criteria_section
from harness.report.sections.experiments import LATER, experiments_section

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
    [table] = blocks(found, Table)
    assert [column.title for column in table.columns] == [
        "Arm",
        "Condition",
        "Exact match",
        "Agreement with people (kappa)",
        "Cases",
    ]
    assert table.rows[0] == ("LoRA", "24 examples", "40 % (30 to 50 %)", "–", "40")
    assert table.rows[2] == ("judge", "people", "–", "0.41 (0.20 to 0.60)", "80")
    [picture] = blocks(found, Intervals)
    assert [bar.label for bar in picture.bars] == ["LoRA, 24 examples", "LoRA, as run"]


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
    assert blocks(found, Table)[0].rows[0] == ("RAG", "70 %", "40 %", "0.42", "0.50 (50 %)", "0.20 (400 tokens)")
    assert blocks(found, Bullets)[0].items == (
        "If cost weighed just above 27 % instead of 25 %, the prompt would come first.",
    )
