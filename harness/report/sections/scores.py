"""Section 2: what every arm scored."""

from __future__ import annotations

from collections import Counter

from harness.publish import numbers
from harness.publish.blocks import Bar, Block, Bullets, Column, Intervals, Paragraph, Place, Section, Table
from harness.records import ArmScore, VerdictKind
from harness.report.data import ReportData
from harness.report.names import arm_in_sentence, arm_label, is_share, metric_explanation, metric_title
from harness.report.sections.axes import score_ticks, score_top
from harness.report.sections.verdict import interval_name

_ABSENT = "–"


def scores_section(data: ReportData) -> Section:
    """The verdict in full, picture and table on the rule's metric."""
    if not data.metrics:
        nothing = Paragraph("No arm was scored. Section “What was left out” says why.")
        return Section("Results", "scores", (nothing,))
    said = data.verdict.sentences[1:]
    blocks: list[Block] = [*([Bullets(said)] if said else []), picture(data), main_table(data), _how_to_read(data)]
    return Section("Results", "scores", tuple(blocks))


def metrics_section(data: ReportData) -> Section | None:
    """All metrics that do not decide, and what the rule would say by them."""
    if len(data.metrics) < 2:
        return None
    note = _first_seed_note(data)
    blocks: list[Block] = [_other_table(data), *((note,) if note else ()), _meanings(data.metrics)]
    if data.verdict.under_other_metrics:
        blocks.append(Paragraph(_under_others(data)))
    if data.verdict.stopped:
        blocks.append(Paragraph(_NOT_ASKED))
    return Section("Other metrics", "metrics", tuple(blocks), Place.APPENDIX)


_NOT_ASKED = (
    "What the same rule would say on other metrics is left open: arms were stopped early by the rule's own metric, and "
    "on another they might have done better."
)

_SAID = {
    VerdictKind.WINNER: "{arm} would win",
    VerdictKind.TIE: "it would be a tie, with {arm} as the cheapest",
    VerdictKind.NONE_USEFUL: "no arm would be useful",
    VerdictKind.NOT_ENOUGH_CASES: "these cases would not settle it",
    VerdictKind.COULD_NOT_COMPARE: "nothing could be compared",
}


def _under_others(data: ReportData) -> str:
    """Whether the choice of the metric decides."""
    looks = data.verdict.under_other_metrics
    said = "; ".join(
        f"by {metric_title(one.metric)} {_SAID[one.kind].format(arm=arm_in_sentence(one.arm or ''))}" for one in looks
    )
    same = all((one.kind, one.arm) == (data.verdict.kind, data.verdict.arm) for one in looks)
    opening = "The same rule on other metrics comes to the same." if same else "Does the metric decide?"
    return f"{opening} With the same margin, {said}. The verdict is the one by {metric_title(data.verdict.metric)}."


def main_table(data: ReportData) -> Table:
    """Arms on the rule's metric, with cases, failures and answers that were cut."""
    metric = data.verdict.metric
    cut = Counter(made.arm for made in data.predictions if made.finish == "length")
    columns = (
        Column("Arm"),
        Column(f"{metric_title(metric)} ({interval_name(data)})", number=True),
        Column("Cases", number=True),
        Column("Failed", number=True),
        Column("Cut off", number=True),
    )
    rows = tuple(_main_row(data, arm, cut[arm]) for arm in data.arms)
    return Table("Arms, best first", columns, rows, recommended_rows(data, data.arms))


def picture(data: ReportData) -> Intervals:
    """A dot and a bar for every arm on the rule's metric."""
    metric = data.verdict.metric
    found = [data.score_of[arm, metric] for arm in data.arms if (arm, metric) in data.score_of]
    bars = tuple(_bar(score, data) for score in found if numbers.is_measured(score.value, score.low, score.high))
    target = data.rule.target
    top = score_top([bar.high for bar in bars] + [target or 0.0])
    ticks = score_ticks(top, metric)
    caption = f"{metric_title(metric)} with {interval_name(data)}"
    words = f"Target: {numbers.score(target, is_share=is_share(metric))}" if target is not None else ""
    return Intervals(caption, bars, top, ticks, target, words, in_words(caption, bars, words))


def in_words(caption: str, bars: tuple[Bar, ...], *more: str) -> str:
    """A picture of intervals for those who cannot see it."""
    values = "; ".join(f"{bar.label} {bar.text}" for bar in bars)
    return ". ".join(part for part in (caption, values, *more) if part) + "."


def recommended_rows(data: ReportData, arms: tuple[str, ...]) -> frozenset[int]:
    """Indices of the recommended arm's rows."""
    return frozenset(i for i, arm in enumerate(arms) if arm == data.verdict.arm)


def row_name(data: ReportData, arm: str) -> str:
    """An arm's name in the first column, marked where it is recommended or the control."""
    return f"{arm_label(arm)} (recommended)" if arm == data.verdict.arm else arm_label(arm)


def _how_to_read(data: ReportData) -> Paragraph:
    longest = numbers.counted(data.scenario.max_new_tokens, "token")
    return Paragraph(
        f"{metric_title(data.verdict.metric)} decides{_since(data)}. "
        "An answer that failed (an error, or nothing in it) counts as 0 and stays in the average. "
        f"“Cut off” counts answers that reached the longest length, {longest}. "
        "The control gives the same answer to every case: an arm that does not beat it has learned nothing."
    )


def _since(data: ReportData) -> str:
    return "" if data.verdict.exploratory else "; it was fixed before the first answer was made"


def _main_row(data: ReportData, arm: str, cut: int) -> tuple[str, ...]:
    score = data.score_of.get((arm, data.verdict.metric))
    if score is None:
        return (row_name(data, arm), numbers.NOT_MEASURED, _ABSENT, _ABSENT, numbers.count(cut))
    return (row_name(data, arm), written(score), *map(numbers.count, (score.n, score.failed, cut)))


def written(score: ArmScore | None) -> str:
    """A score with its interval."""
    if score is None:
        return _ABSENT
    return numbers.score_interval(score.value, score.low, score.high, is_share=is_share(score.metric))


def _bar(score: ArmScore, data: ReportData) -> Bar:
    marked = score.arm == data.verdict.arm
    return Bar(row_name(data, score.arm), score.value, score.low, score.high, written(score), marked)


def _other_table(data: ReportData) -> Table:
    others = data.metrics[1:] if data.metrics[0] == data.verdict.metric else data.metrics
    columns = (Column("Arm"), *(Column(metric_title(metric), number=True) for metric in others))
    rows = tuple(
        (row_name(data, arm), *(written(data.score_of.get((arm, metric))) for metric in others)) for arm in data.arms
    )
    return Table("Other metrics, which do not decide", columns, rows, recommended_rows(data, data.arms))


def _meanings(metrics: tuple[str, ...]) -> Bullets:
    said = ((metric_title(metric), metric_explanation(metric)) for metric in metrics)
    return Bullets(tuple(f"{title}: {explanation}" for title, explanation in said if explanation))


def _first_seed_note(data: ReportData) -> Paragraph | None:
    """Metrics that are no mean over a case's answers are those of the first seed."""
    if not data.verdict.seeds:
        return None
    return Paragraph(
        "Tuned arms: means over their training seeds, but for Macro F1, embedding similarity and the metrics of "
        "retrieval, which are those of the first seed.",
        note=True,
    )
