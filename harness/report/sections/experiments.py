"""The experiments beside the comparison: what each asked, what it found, and the numbers behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from harness.publish import numbers
from harness.publish.axes import count_axis
from harness.publish.blocks import (
    Axis,
    Bar,
    Block,
    Bullets,
    Column,
    Intervals,
    Line,
    Lines,
    Paragraph,
    Parts,
    Picture,
    Place,
    Row,
    Section,
    Subheading,
    Table,
)
from harness.records import Finding, Reading
from harness.report.data import ReportData
from harness.report.names import (
    arm_label,
    arm_name,
    experiment_question,
    experiment_title,
    is_share,
    measure_title,
    metric_title,
)
from harness.report.sections.axes import score_axis, score_ticks, score_top, tone
from harness.report.sections.cases import HIT, RIGHT
from harness.report.sections.scores import in_words
from harness.report.sections.verdict import interval_name

OPENING = (
    "These were run beside the comparison and change none of its answers. Intervals look at one value alone; tests "
    "here are not part of the decision rule. A tuned arm takes part with its first training seed, so its value can "
    "differ from its mean over seeds in the results."
)
PICTURED = ("seeds", "facts_change", "retrieval", "form")
"""Experiments whose values are best seen side by side."""
_EXAMPLES = re.compile(r"([\d,]+) examples?\b")
LATER = "Asked for after the verdict had been seen: take it as exploratory."


def experiments_section(data: ReportData) -> Section | None:
    """Every experiment of the run: question, findings, picture; None where there was none."""
    if not data.findings:
        return None
    blocks: list[Block] = [Paragraph(OPENING)]
    for finding in data.findings:
        blocks += _blocks(data, finding)
    return Section("What the experiments add", "experiments", tuple(blocks))


def experiment_tables_section(data: ReportData) -> Section | None:
    """All values of all experiments."""
    tables = tuple(_table(data, finding) for finding in data.findings if finding.readings)
    if not tables:
        return None
    return Section("The experiments in numbers", "experiment-tables", tables, Place.APPENDIX)


def losses_section(data: ReportData) -> Section | None:
    """Whether wrong answers are misses of retrieval or of generation; None where no right document is known."""
    rows = [row for row in (_losses(data, arm) for arm in data.real_arms) if row is not None]
    if not rows:
        return None
    names = ("Right", "The document was there, the answer was wrong", "The document was not found")
    highest = max(sum(row.sizes) for row in rows)
    said = "; ".join(f"{row.label}: {', '.join(_parts_said(row, names))}" for row in rows)
    caption = f"Cases whose document is known, by {metric_title(data.verdict.metric)}"
    picture = Parts(caption, names, tuple(rows), count_axis("Cases", highest), f"{caption}. {said}.")
    graded = "" if is_share(data.verdict.metric) else f" An answer counts as right from {numbers.points(RIGHT)} on."
    opening = (
        "A wrong answer whose document had been found is a miss of generation: a better model, prompt or tuning can "
        f"mend it. Where the document had not been found, only better retrieval can.{graded}"
    )
    return Section("Where answers are lost", "losses", (Paragraph(opening), picture))


def _losses(data: ReportData, arm: str) -> Row | None:
    """Cases that the arm got right, that generation lost, and that retrieval lost."""
    metric = data.verdict.metric
    column = data.case_table.columns.get(arm)
    if column is None:
        return None
    values, hits = column.values_of(metric), column.values_of(HIT)
    known = ~(np.isnan(values) | np.isnan(hits))
    if not known.any():
        return None
    right, found = values[known] >= RIGHT, hits[known] > 0
    sizes = tuple(float(part.sum()) for part in (right, ~right & found, ~right & ~found))
    texts = tuple(numbers.count(size) if size else "" for size in sizes)
    return Row(arm_label(arm), sizes, texts, arm == data.verdict.arm)


def _parts_said(row: Row, names: Sequence[str]) -> list[str]:
    return [f"{numbers.count(size)} {name.lower()}" for size, name in zip(row.sizes, names, strict=True)]


def _blocks(data: ReportData, finding: Finding) -> list[Block]:
    blocks: list[Block] = [Subheading(experiment_title(finding.experiment))]
    question = experiment_question(finding.experiment)
    took = f"It took {numbers.seconds(finding.seconds)}." if finding.seconds >= 1 else ""
    blocks.append(Paragraph(" ".join(part for part in (question, took) if part)))
    if finding.sentences:
        blocks.append(Bullets(finding.sentences))
    if finding.added_later:
        blocks.append(Paragraph(LATER, note=True))
    return [*blocks, *_pictures(data, finding)]


def _pictures(data: ReportData, finding: Finding) -> list[Picture]:
    if finding.experiment == "learning_curve":
        return _curve(data, finding)
    if finding.experiment in PICTURED:
        return _side_by_side(data, finding)
    return []


def _curve(data: ReportData, finding: Finding) -> list[Picture]:
    """A line an arm over the number of training examples, with the scores of arms that learn from none."""
    metric = data.verdict.metric
    found: dict[str, list[tuple[float, Reading]]] = {}
    for reading in finding.readings:
        size = _EXAMPLES.match(reading.condition)
        if size and reading.measure == metric:
            found.setdefault(reading.arm, []).append((float(size[1].replace(",", "")), reading))
    lines = tuple(
        _line(data, arm, sorted(points, key=lambda p: p[0])) for arm, points in found.items() if len(points) > 1
    )
    if not lines:
        return []
    sizes = sorted({size for points in found.values() for size, _ in points})
    rest = [arm for arm in data.real_arms if arm not in found and (arm, metric) in data.score_of]
    level = tuple((data.score_of[arm, metric].value, arm_name(arm)) for arm in rest)
    x = Axis("Training examples", tuple((size, numbers.count(size)) for size in sizes), logarithmic=True)
    highest = [high for line in lines for _, high in line.spread] + [value for value, _ in level]
    caption = f"{metric_title(metric)} by the number of training examples, with {interval_name(data)}"
    said = "; ".join(
        f"{arm_name(arm)} "
        + ", ".join(f"{_written(r)} with {numbers.count(size)}" for size, r in sorted(points, key=_size))
        for arm, points in found.items()
    )
    said += "".join(f"; {name} {numbers.score(value, is_share=is_share(metric))} as run" for value, name in level)
    return [Lines(caption, x, score_axis(highest, metric), lines, f"{caption}: {said}.", level=level)]


def _size(point: tuple[float, Reading]) -> float:
    return point[0]


def _line(data: ReportData, arm: str, points: Sequence[tuple[float, Reading]]) -> Line:
    values = tuple((size, reading.value) for size, reading in points)
    bounds = [(r.low, r.high) for _, r in points]
    spread = tuple((low, high) for low, high in bounds if low is not None and high is not None)
    return Line(
        arm_name(arm),
        values,
        spread if len(spread) == len(values) else (),
        tone=tone(arm, data.real_arms),
        marked=arm == data.verdict.arm,
    )


def _side_by_side(data: ReportData, finding: Finding) -> list[Picture]:
    """Every value on the rule's metric with its interval, arm by arm."""
    metric = data.verdict.metric
    found = [r for r in finding.readings if r.measure == metric and r.low is not None and r.high is not None]
    shown = sorted(found, key=lambda r: data.arms.index(r.arm) if r.arm in data.arms else len(data.arms))
    bars = tuple(
        Bar(
            f"{arm_label(r.arm)}, {r.condition}",
            r.value,
            r.low or 0.0,
            r.high or 0.0,
            _written(r),
            r.arm == data.verdict.arm,
        )
        for r in shown
    )
    if not bars:
        return []
    top = score_top([bar.high for bar in bars])
    caption = f"{experiment_title(finding.experiment)}: {metric_title(metric)}, with {interval_name(data)}"
    return [Intervals(caption, bars, top, score_ticks(top, metric), alt=in_words(caption, bars))]


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
