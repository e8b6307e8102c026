"""The experiments beside the comparison: what each asked, what it found, and the numbers behind it."""

from __future__ import annotations

from harness.publish import numbers
from harness.publish.blocks import Bar, Block, Bullets, Column, Intervals, Paragraph, Section, Subheading, Table
from harness.records import Finding, Reading
from harness.report.data import ReportData
from harness.report.names import (
    arm_label,
    experiment_question,
    experiment_title,
    is_share,
    measure_title,
    metric_title,
)
from harness.report.sections.scores import axis_top
from harness.report.sections.verdict import interval_name

OPENING = (
    "These were run beside the comparison and change none of its answers. Intervals look at one value alone; tests "
    "here are not part of the decision rule."
)
PICTURED = ("learning_curve", "seeds")
"""Experiments whose values are best seen side by side."""
LATER = "Asked for after the verdict had been seen: take it as exploratory."


def experiments_section(data: ReportData) -> Section | None:
    """Every experiment of the run; None where there was none."""
    if not data.findings:
        return None
    blocks: list[Block] = [Paragraph(OPENING)]
    for finding in data.findings:
        blocks += _blocks(data, finding)
    return Section("Experiments", "experiments", tuple(blocks))


def _blocks(data: ReportData, finding: Finding) -> list[Block]:
    blocks: list[Block] = [Subheading(experiment_title(finding.experiment))]
    question = experiment_question(finding.experiment)
    took = f"It took {numbers.seconds(finding.seconds)}." if finding.seconds >= 1 else ""
    blocks.append(Paragraph(" ".join(part for part in (question, took) if part)))
    if finding.sentences:
        blocks.append(Bullets(finding.sentences))
    if finding.added_later:
        blocks.append(Paragraph(LATER, note=True))
    if finding.experiment in PICTURED and finding.readings:
        blocks.append(_picture(data, finding))
    if finding.readings:
        blocks.append(_table(data, finding))
    return blocks


def _picture(data: ReportData, finding: Finding) -> Intervals:
    """Every value on the rule's metric with its interval, in the table's order."""
    metric = data.verdict.metric
    shown = [r for r in finding.readings if r.measure == metric and r.low is not None and r.high is not None]
    bars = tuple(
        Bar(f"{arm_label(r.arm)}, {r.condition}", r.value, r.low or 0.0, r.high or 0.0, _written(r)) for r in shown
    )
    top = axis_top([bar.high for bar in bars])
    ticks = tuple((top * i / 4, numbers.on_axis(top * i / 4, is_share=is_share(metric))) for i in range(5))
    return Intervals(f"{experiment_title(finding.experiment)}: {metric_title(metric)}", bars, top, ticks)


def _table(data: ReportData, finding: Finding) -> Table:
    """One row an arm and condition, one column a measure."""
    measures = tuple(dict.fromkeys(r.measure for r in finding.readings))
    rows: dict[tuple[str, str], dict[str, Reading]] = {}
    for reading in finding.readings:
        rows.setdefault((reading.arm, reading.condition), {})[reading.measure] = reading
    columns = (
        Column("Arm"),
        Column("Condition"),
        *(Column(measure_title(measure), number=True) for measure in measures),
        Column("Cases", number=True),
    )
    cells = tuple(
        (
            arm_label(arm),
            condition,
            *(_written(found.get(measure)) for measure in measures),
            numbers.count(max(r.n for r in found.values())),
        )
        for (arm, condition), found in rows.items()
    )
    return Table(f"{experiment_title(finding.experiment)}, with {interval_name(data)}", columns, cells)


def _written(reading: Reading | None) -> str:
    if reading is None:
        return "–"
    if reading.unit == "seconds":
        return numbers.seconds(reading.value)
    if reading.unit == "count":
        return numbers.mean_count(reading.value)
    if reading.unit == "ratio":
        return f"{reading.value:.2f}" + ("" if reading.low is None else f" ({reading.low:.2f} to {reading.high:.2f})")
    if reading.low is None or reading.high is None:
        return numbers.score(reading.value, is_share=reading.unit == "share")
    return numbers.score_interval(reading.value, reading.low, reading.high, is_share=reading.unit == "share")
