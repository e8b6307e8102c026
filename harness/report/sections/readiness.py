"""Data readiness: what there was, whether it was enough, and what to do about it, as the trial found it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.publish import numbers
from harness.publish.blocks import Column, Section, Table
from harness.records import VerdictKind
from harness.report.data import ReportData
from harness.report.sections.cases import HIT

_COLUMNS = (Column("Item"), Column("There is"), Column("What the trial found"), Column("To do"))
_NOTHING = "nothing"


def readiness_section(data: ReportData) -> Section:
    """A row for eval cases, training examples, documents, repeated rows and warnings."""
    rows = (_cases(data), _training(data), *_documents(data), _repeated(data), *_warnings(data))
    return Section("Data readiness", "readiness", (Table("What the trial had to work with", _COLUMNS, rows),))


def _cases(data: ReportData) -> tuple[str, ...]:
    have = numbers.counted(len(data.cases), "case")
    needed = data.verdict.cases_needed
    if data.verdict.exploratory:
        return ("Eval cases", have, "answers to them had been seen", "confirm the verdict on new ones")
    if data.verdict.kind in (VerdictKind.WINNER, VerdictKind.TIE):
        return ("Eval cases", have, "enough to settle this question", "keep them as the test of every change")
    if needed is None or needed <= len(data.cases):
        return ("Eval cases", have, "the question is not settled", "read them before adding more")
    more = max(1, needed - len(data.cases))
    found = f"too few: about {numbers.count(needed)} in all would settle the question"
    return ("Eval cases", have, found, f"collect about {numbers.count(more)} more")


def _training(data: ReportData) -> tuple[str, ...]:
    have = numbers.counted(data.scenario.train_examples, "example")
    curve = data.finding_of.get("learning_curve")
    found = curve.bearing[0] if curve and curve.bearing else "not known whether more would help"
    todo = "weigh what it says against the price of a label" if curve and curve.bearing else "measure a learning curve"
    return ("Training examples", have, found, todo)


def _documents(data: ReportData) -> Iterator[tuple[str, ...]]:
    if not data.scenario.documents:
        return
    have = numbers.counted(data.scenario.documents, "document")
    columns = data.case_table.columns
    arm = next((arm for arm in data.real_arms if arm in columns and HIT in columns[arm].metrics), None)
    if arm is None:
        yield ("Documents", have, "not known which document answers which case", "name it in each case (context_id)")
        return
    hits = columns[arm].values_of(HIT)
    known = hits[~np.isnan(hits)] > 0
    found = f"the right one was found for {numbers.count(int(known.sum()))} of {numbers.counted(len(known), 'case')}"
    todo = _NOTHING if known.all() else "read the cases whose document was not found"
    yield ("Documents", have, found, todo)


def _repeated(data: ReportData) -> tuple[str, ...]:
    removed = len(data.scenario.removed)
    if not removed:
        return ("Repeated rows", "none", "no training example repeats a case", _NOTHING)
    have = numbers.counted(removed, "training example")
    return ("Repeated rows", have, "stood in the eval set too and did not take part", "take them out for good")


def _warnings(data: ReportData) -> Iterator[tuple[str, ...]]:
    if data.scenario.warnings:
        have = numbers.counted(len(data.scenario.warnings), "warning")
        yield ("Warnings", have, "the appendix lists them", "mend what they name before the next trial")
