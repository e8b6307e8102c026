"""Sections 3 and 4: arms against each other on the same cases, and whether a lead is in facts or only in form."""

from __future__ import annotations

from harness.records import Comparison
from harness.report import numbers
from harness.report.blocks import Block, Column, Paragraph, Section, Table
from harness.report.data import ReportData
from harness.report.names import arm_in_sentence, arm_name, metric_title
from harness.report.sections.verdict import interval_name

STRICT = ("exact_match", "token_f1")
"""Metrics that also punish a right fact in the wrong words, most telling first."""
LENIENT = "contains"


def pairs_section(data: ReportData) -> Section:
    """Every comparison of the run with all that a sceptic asks for."""
    title = "Pair by pair"
    if not data.verdict.comparisons:
        return Section(title, "pairs", (Paragraph("No two arms could be compared."),))
    return Section(title, "pairs", (Paragraph(_how_to_read(data)), _table(data)))


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
    """Whether the lead of the leading pair is there in `contains` too; None where the metrics are not there."""
    strict = _strict(data)
    if strict is None or LENIENT not in data.metrics or len(data.real_arms) < 2:
        return None
    gaps = _lead(data, strict), _lead(data, LENIENT)
    if not numbers.is_measured(*gaps):
        return None
    blocks: list[Block] = [Paragraph(_form_sentence(data, strict, gaps)), Paragraph(_FORM_NOTE, note=True)]
    return Section("Form or facts", "form-or-facts", tuple(blocks))


_FORM_NOTE = (
    "No test was run for this question, so take it as a hint. The second metric can also be too kind: "
    "a long answer holds more words, and some of them fit by chance."
)


def _strict(data: ReportData) -> str | None:
    """The rule's metric where it is a strict one, else the first strict one that was scored."""
    wanted = (data.verdict.metric, *STRICT)
    return next((metric for metric in wanted if metric in STRICT and metric in data.metrics), None)


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


def _lead(data: ReportData, metric: str) -> float | None:
    """Mean of the best arm minus mean of the second best, both by the rule's metric."""
    scores = [data.score_of.get((arm, metric)) for arm in data.real_arms[:2]]
    first, second = (score.value if score else None for score in scores)
    return first - second if first is not None and second is not None else None


def _form_sentence(data: ReportData, strict: str, gaps: tuple[float | None, float | None]) -> str:
    first, second = (arm_in_sentence(arm) for arm in data.real_arms[:2])
    exact, lenient = (gap or 0.0 for gap in gaps)
    opening = (
        f"Best and second best are {first} and {second}. Their difference is {numbers.difference(exact)} in "
        f"“{metric_title(strict)}”, which asks for the right words and no others, and {numbers.difference(lenient)} in "
        f"“{metric_title(LENIENT)}”, which asks only whether an accepted answer occurs."
    )
    return f"{opening} {_form_reading(exact, lenient, margin=data.verdict.margin)}"


def _form_reading(exact: float, lenient: float, *, margin: float) -> str:
    """A cautious sentence; a lead below the margin in the strict metric is not worth explaining."""
    if exact < margin:
        return "There is no lead here that would need explaining."
    if lenient >= exact / 2:
        return "Most of the lead is there too, so it seems to be one in facts: more answers hold the right thing."
    if lenient > exact / 4:
        return "Part of the lead is there too, so it seems to be partly in facts and partly in form."
    return (
        "Little or none of it is left there, so the lead seems to be in form (shorter, cleaner answers), not in facts."
    )
