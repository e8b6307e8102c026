"""Sections 3 and 4: arms against each other on the same cases, and whether a lead is in facts or only in form."""

from __future__ import annotations

from harness.metrics.form import IN_FORM
from harness.publish import numbers
from harness.publish.blocks import Bar, Block, Column, Intervals, Paragraph, Place, Section, Table
from harness.publish.text import joined
from harness.records import Comparison
from harness.report.data import ReportData
from harness.report.names import arm_in_sentence, arm_name, metric_title
from harness.report.sections.axes import score_ticks, score_top
from harness.report.sections.scores import in_words, written
from harness.report.sections.verdict import interval_name


def pairs_section(data: ReportData) -> Section:
    """Every comparison of the run with all that a sceptic asks for."""
    title = "Pair by pair"
    if not data.verdict.comparisons:
        return Section(title, "pairs", (Paragraph("No two arms could be compared."),), Place.APPENDIX)
    return Section(title, "pairs", (Paragraph(_how_to_read(data)), _table(data)), Place.APPENDIX)


def reading(comparison: Comparison, *, alpha: float, margin: float) -> str:
    """What one comparison shows. Unmeasured numbers show nothing.

    `ahead` needs a Holm-adjusted p below alpha; `no gap of the margin` needs the (1 - 2 alpha) interval
    inside (-margin, margin).
    """
    if not numbers.is_measured(comparison.p_adjusted, comparison.difference):
        return "could not be tested"
    if comparison.p_adjusted < alpha:
        ahead = comparison.first if comparison.difference > 0 else comparison.second
        return f"{arm_name(ahead)} ahead"
    inside = comparison.low_equivalence > -margin and comparison.high_equivalence < margin
    return f"no gap of {numbers.gap(margin)}" if inside else "not told apart"


def form_section(data: ReportData) -> Section | None:
    """On which axis the best arm leads, facts or form; None where there is no form that could be told."""
    if len({pair.metric for pair in data.verdict.axes}) < 2:
        return None
    blocks: list[Block] = [Paragraph(axis_sentence(data)), *_axes_picture(data), _axes_table(data)]
    blocks.append(Paragraph(_FORM_NOTE, note=True))
    return Section("Facts or form", "form-or-facts", tuple(blocks))


_FORM_NOTE = (
    "Facts: whether the right thing is in the answer, however it is written. Form: whether it is written as asked for, "
    "right or wrong. Both are tested like the rule's own metric (Holm over all pairs of that axis)."
)


def axis_sentence(data: ReportData) -> str:
    """Against the best of the others: ahead in facts, in form, in both or in neither."""
    pairs = data.verdict.axes
    first = pairs[0].first
    rivals = [arm for arm in data.real_arms if arm != first and any(pair.second == arm for pair in pairs)]
    rival = rivals[0] if rivals else pairs[0].second
    axes = {_axis(pair): pair for pair in pairs if pair.second == rival}
    alpha = data.verdict.alpha
    ahead = [name for name, pair in axes.items() if pair.p_adjusted < alpha and pair.difference > 0]
    behind = [name for name, pair in axes.items() if pair.p_adjusted < alpha and pair.difference < 0]
    told = [f"ahead in {joined(ahead)}"] if ahead else []
    told += [f"behind in {joined(behind)}"] if behind else []
    rest = [name for name in axes if name not in (*ahead, *behind)]
    told += [f"not told apart in {joined(rest)}"] if rest else []
    text = f"Against {arm_in_sentence(rival)}, the best of the others, {arm_in_sentence(first)} is {joined(told)}."
    if ahead == ["form"]:
        return f"{text} Only its lead in form is shown: holding the other arm to the form may be cheaper."
    return text


def _axis(pair: Comparison) -> str:
    return "form" if pair.metric == IN_FORM else "facts"


def _axes_picture(data: ReportData) -> list[Intervals]:
    """Every arm's score in facts and in form, one above the other; none where either was not scored for all."""
    facts = next(pair.metric for pair in data.verdict.axes if pair.metric != IN_FORM)
    bars = tuple(
        Bar(f"{arm_name(arm)}, {axis}", one.value, one.low, one.high, written(one), arm == data.verdict.arm)
        for arm in data.real_arms
        for axis, metric in (("facts", facts), ("form", IN_FORM))
        if (one := data.score_of.get((arm, metric))) and numbers.is_measured(one.value, one.low, one.high)
    )
    if not bars:
        return []
    caption = f"Facts ({metric_title(facts)}) and form ({metric_title(IN_FORM)}) apart, with {interval_name(data)}"
    top = score_top([bar.high for bar in bars])
    return [Intervals(caption, bars, top, score_ticks(top, IN_FORM), alt=in_words(caption, bars))]


def _axes_table(data: ReportData) -> Table:
    columns = (
        Column("Pair"),
        Column("Axis"),
        Column(f"Difference ({interval_name(data)})", number=True),
        Column("p, adjusted", number=True),
        Column("Reading"),
    )
    rows = tuple(
        (
            f"{arm_name(pair.first)} against {arm_name(pair.second)}",
            f"{_axis(pair)} ({metric_title(pair.metric)})",
            numbers.difference_interval(pair.difference, pair.low, pair.high),
            numbers.p_number(pair.p_adjusted),
            reading(pair, alpha=data.verdict.alpha, margin=data.verdict.margin),
        )
        for pair in data.verdict.axes
    )
    return Table("The best arm against the others, in facts and in form", columns, rows)


def _how_to_read(data: ReportData) -> str:
    return (
        "Each row compares two arms on the same cases; a positive difference means that the first arm is ahead, and an "
        "interval that spans 0 that chance alone could explain it. The interval and p look at one pair alone. "
        "The adjusted p (Holm) allows for the number of pairs looked at; the reading goes by it: "
        f"an arm is called ahead when it is below {data.verdict.alpha:g}."
    )


def _table(data: ReportData) -> Table:
    pairs = data.verdict.comparisons
    methods = dict.fromkeys(_method(pair) for pair in pairs)
    counted = any(pair.first_only is not None for pair in pairs)
    columns = [Column("Pair"), Column(f"Difference ({interval_name(data)})", number=True), Column("Reading")]
    columns += [Column("p", number=True), Column("p, adjusted", number=True)]
    columns += [Column("Only first right", number=True), Column("Only second right", number=True)] if counted else []
    columns += [Column("Method")] if len(methods) > 1 else []
    rows = tuple(_row(pair, data, counted=counted)[: len(columns)] for pair in pairs)
    same = f" ({next(iter(methods))})" if len(methods) == 1 else ""
    return Table(f"Differences in {metric_title(data.verdict.metric)}{same}", tuple(columns), rows)


def _row(pair: Comparison, data: ReportData, *, counted: bool) -> tuple[str, ...]:
    """All cells of a pair, the method last; `counted` adds the discordant counts before it."""
    cells = (
        f"{arm_name(pair.first)} against {arm_name(pair.second)}",
        numbers.difference_interval(pair.difference, pair.low, pair.high),
        reading(pair, alpha=data.verdict.alpha, margin=data.verdict.margin),
        numbers.p_number(pair.p),
        numbers.p_number(pair.p_adjusted),
    )
    discordant = (numbers.count(pair.first_only), numbers.count(pair.second_only)) if counted else ()
    return (*cells, *discordant, _method(pair))


def _method(pair: Comparison) -> str:
    groups = f" ({numbers.counted(pair.clusters, 'group')})" if pair.clusters is not None else ""
    return f"{pair.method}{groups}, {numbers.counted(pair.n, 'case')}"
