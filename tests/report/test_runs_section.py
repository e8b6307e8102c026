"""Runs beside each other: what was different, and what came of it."""

from dataclasses import replace

import builders
import pytest

from harness.publish.blocks import Intervals, Table
from harness.report.sections.runs import changes, runs_section

FIRST = builders.winner()


def said(other):
    (sentence,) = changes((FIRST, other))
    return sentence


def with_scenario(**changed):
    return replace(FIRST, scenario=replace(FIRST.scenario, **changed))


def with_provenance(**changed):
    return replace(FIRST, provenance=replace(FIRST.provenance, **changed))


def test_a_run_alone_has_no_such_section():
    assert runs_section(FIRST) is None


def test_a_run_made_alike_with_the_same_verdict_says_so():
    assert said(FIRST).startswith("Run 2 was made alike, and comes to the same verdict: ")


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (with_provenance(model="Other-7B"), "model"),
        (with_provenance(model_digest="0" * 64), "model"),
        (with_provenance(seed=99), "seed"),
        (with_provenance(device="cuda"), "device"),
        (with_provenance(input_digests={**FIRST.provenance.input_digests, "train.jsonl": "new"}), "training data"),
        (with_provenance(input_digests={**FIRST.provenance.input_digests, "handbook.pdf": "x"}), "documents"),
        (with_provenance(input_digests={**FIRST.provenance.input_digests, "corpus.jsonl": "x"}), "documents"),
        (with_scenario(instruction="Be brief."), "instruction"),
        (with_scenario(quick=not FIRST.scenario.quick), "thoroughness (quick or full)"),
        (replace(FIRST, cases=FIRST.cases[:-1]), "cases"),
        (replace(FIRST, verdict=replace(FIRST.verdict, rule_digest="0" * 64)), "decision rule"),
    ],
)
def test_what_was_different_is_named(other, what):
    assert said(other).startswith(f"Run 2 differs from the first in {what}, and comes to the same verdict: ")


def test_another_verdict_and_several_changes_are_named():
    found = said(builders.tie())
    assert "comes to another verdict: " in found
    assert found.startswith("Run 2 differs from the first in ")


def test_scores_of_every_run_stand_in_one_table_and_in_one_picture_where_the_metric_is_the_same():
    other = with_provenance(seed=99)
    found = runs_section(replace(FIRST, others=(other,)))
    overview, scores = [one for one in found.blocks if isinstance(one, Table)]
    assert [row[0].split(":")[0] for row in overview.rows] == ["1", "2"]
    assert len(scores.columns) == 3
    arms = {row[0]: row[1:] for row in scores.rows}
    assert all(len(cells) == 2 for cells in arms.values())
    pictures = [one for one in found.blocks if isinstance(one, Intervals)]
    assert len(pictures) == 1
    assert sum(bar.marked for bar in pictures[0].bars) == sum(bool(run.verdict.arm) for run in (FIRST, other))


def test_runs_judged_by_different_metrics_get_no_common_picture():
    other = replace(FIRST, verdict=replace(FIRST.verdict, metric="token_f1"))
    found = runs_section(replace(FIRST, others=(other,)))
    assert not [one for one in found.blocks if isinstance(one, Intervals)]
