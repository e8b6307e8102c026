"""A few cases to read, chosen by a rule and not by hand: won and lost by the recommended arm against its rival."""

from __future__ import annotations

import numpy as np

from harness.publish import numbers
from harness.publish.blocks import Block, Column, Paragraph, Place, Section, Subheading, Table
from harness.publish.text import shortened
from harness.records import CONTROL
from harness.report.data import ReportData
from harness.report.names import arm_in_sentence, arm_name, metric_title
from harness.report.sections.cases import case_metric, is_graded
from harness.scenario import Case
from harness.score_table import Places

MOST = 3
"""Cases of each side."""
LONGEST = 400
"""Characters shown of a text."""
_EQUAL = 1e-9
_NOWHERE: Places = np.zeros(0, dtype=np.intp)


def examples_section(data: ReportData) -> Section | None:
    """Cases where the two arms differ most; None where there are not two arms with scores for single cases."""
    pair, metric = _pair(data), case_metric(data)
    if pair is None or metric is None:
        return None
    won, lost = _differing(data, pair, metric)
    graded = is_graded(data, metric)
    blocks: list[Block] = [Paragraph(_rule(pair, metric, len(won), len(lost), graded=graded))]
    for title, places in ((_title(pair), won), (_title(pair[::-1]), lost)):
        if len(places):
            shown = [data.cases[place] for place in places[:MOST]]
            blocks += [Subheading(title), *(_table(data, case, pair, metric, graded=graded) for case in shown)]
    return Section("Examples", "examples", tuple(blocks), Place.DETAIL)


def _pair(data: ReportData) -> tuple[str, str] | None:
    """The recommended (or best) arm and the strongest of the others."""
    ranked = [score.arm for score in data.verdict.scores if score.arm != CONTROL]
    others = [arm for arm in ranked if arm != data.shown_arm]
    return (data.shown_arm, others[0]) if data.shown_arm and others else None


def _differing(data: ReportData, pair: tuple[str, str], metric: str) -> tuple[Places, Places]:
    """Places of cases by how far the first arm is ahead, and by how far it is behind; equals in the file's order."""
    first, second = (data.case_table.columns.get(arm) for arm in pair)
    if first is None or second is None:
        return _NOWHERE, _NOWHERE
    both = np.flatnonzero(first.there & second.there)
    gaps = np.nan_to_num(first.values_of(metric)[both]) - np.nan_to_num(second.values_of(metric)[both])
    order = np.argsort(-np.abs(gaps), kind="stable")
    return both[order][gaps[order] > _EQUAL], both[order][gaps[order] < -_EQUAL]


def _value(data: ReportData, case: Case, arm: str, metric: str) -> float:
    scored = data.case_score_of.get((case.id, arm))
    return scored.values.get(metric, 0.0) if scored else 0.0


def _rule(pair: tuple[str, str], metric: str, won: int, lost: int, *, graded: bool) -> str:
    first, second = (arm_in_sentence(arm) for arm in pair)
    how = "scores higher" if graded else "is right and the other is wrong"
    return (
        f"Of the cases on which {first} and {second} differ by {metric_title(metric)}, {first} {how} on "
        f"{numbers.count(won)} and {second} on {numbers.count(lost)}. Shown are up to {MOST} of each: those with the "
        "largest difference, and among equals the first in the eval file."
    )


def _title(pair: tuple[str, ...]) -> str:
    return f"{arm_name(pair[0])} ahead of {arm_in_sentence(pair[1])}"


def _table(data: ReportData, case: Case, pair: tuple[str, str], metric: str, *, graded: bool) -> Table:
    rows = [("Input", _cut(case.input), ""), ("Expected", _cut(" or ".join(case.accepted)), "")]
    for arm in pair:
        scored = data.case_score_of.get((case.id, arm))
        value = _value(data, case, arm, metric)
        score = numbers.points(value) if graded else "right" if value == 1 else "wrong"
        rows.append((arm_name(arm), _cut(scored.answer) if scored and scored.answer else "(nothing)", score))
    return Table(f"Case {case.id}", (Column("Who"), Column("Text"), Column("Score")), tuple(rows))


def _cut(text: str) -> str:
    return shortened(text.strip(), LONGEST)
