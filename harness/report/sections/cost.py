"""Section 5: what every arm costs to run and to prepare."""

from __future__ import annotations

from harness.publish import numbers
from harness.publish.blocks import Block, Column, Paragraph, Section, Table
from harness.report.data import ReportData
from harness.report.sections.scores import recommended_rows, row_name

_FEW_TIMED = 20

_COLUMNS = (
    Column("Arm"),
    Column("Tokens in", number=True),
    Column("Tokens out", number=True),
    Column("p50", number=True),
    Column("p95", number=True),
    Column("Timed", number=True),
    Column("Training", number=True),
    Column("Examples trained on", number=True),
    Column("Peak memory", number=True),
)


def cost_section(data: ReportData) -> Section:
    """Tokens, latency, training and memory, measured on this machine."""
    title = "Cost and latency"
    if not data.costs:
        return Section(title, "cost", (Paragraph("Costs were not measured."),))
    blocks: list[Block] = [Paragraph(_how_to_read(data)), cost_table(data)]
    return Section(title, "cost", tuple(blocks))


def cost_table(data: ReportData) -> Table:
    """One row an arm, in the order of the score table."""
    arms = tuple(arm for arm in data.arms if arm in data.cost_of)
    rows = tuple(_row(data, arm) for arm in arms)
    return Table("Means per request; latency of single requests", _COLUMNS, rows, recommended_rows(data, arms))


def _row(data: ReportData, arm: str) -> tuple[str, ...]:
    cost, recipe = data.cost_of[arm], data.recipe_of.get(arm)
    trained = recipe is not None and recipe.train_examples > 0
    return (
        row_name(data, arm),
        numbers.mean_count(cost.tokens_in),
        numbers.mean_count(cost.tokens_out),
        numbers.seconds(cost.latency_p50),
        numbers.seconds(cost.latency_p95),
        numbers.count(cost.latency_n),
        numbers.seconds(cost.train_seconds) if trained or cost.train_seconds else "none",
        numbers.count(recipe.train_examples) if recipe and trained else "none",
        numbers.megabytes(cost.peak_memory_mb),
    )


def _how_to_read(data: ReportData) -> str:
    place = data.provenance
    timed = [cost.latency_n for cost in data.costs if cost.latency_p95 is not None]
    few = (
        f" With fewer than {_FEW_TIMED} requests timed, p95 is hardly more than the slowest of them."
        if timed and min(timed) < _FEW_TIMED
        else ""
    )
    return (
        "Half of all requests took no longer than p50, 95 in 100 no longer than p95. They were timed one at a time "
        f"on the run's machine ({place.device}, {numbers.counted(place.threads, 'thread')}), retrieval included and "
        f"a trained adapter merged into the model; another machine gives other seconds.{few} Peak memory is that of "
        "the whole process while an arm was at work, so what earlier arms left behind counts too."
    )
