"""The arms under several criteria at once, where the scenario weighs them."""

from __future__ import annotations

from harness.publish import numbers
from harness.publish.blocks import Block, Bullets, Column, Paragraph, Section, Table
from harness.publish.text import joined
from harness.records import Reversal, Standing
from harness.report.data import ReportData
from harness.report.names import arm_in_sentence, arm_name

HOW = (
    "Each arm is valued from 0 to 1 on each criterion, and the values are weighed as the client weighs the criteria. "
    "The probability of being best counts both that other cases could have been drawn (for quality, freshness and "
    "risk; cost and latency are taken as measured) and that weights are never meant to the last digit; the last column "
    "knows nothing of the weights. The verdict does not rest on this."
)


def criteria_section(data: ReportData) -> Section | None:
    """Values, totals, probabilities and the weights that would change the choice; None where nothing was weighed."""
    standing = data.verdict.standing
    if standing is None:
        return None
    blocks: list[Block] = [
        Paragraph(_weights(standing)),
        Paragraph(HOW, note=True),
        *_tables(standing),
    ]
    if standing.unmeasured:
        named = joined(standing.unmeasured)
        blocks.append(Paragraph(f"Weighed and not measured in this run, so left out: {named}."))
    if standing.reversals:
        blocks.append(Bullets(tuple(_reversal(one, standing) for one in standing.reversals)))
    elif len(standing.weights) > 1:
        blocks.append(Paragraph("No weight of a single criterion would make another arm the best."))
    return Section("Weighed by what matters to the client", "criteria", tuple(blocks))


def _weights(standing: Standing) -> str:
    total = sum(standing.weights.values())
    shown = ", ".join(f"{name} {numbers.share(weight / total)}" for name, weight in standing.weights.items())
    best = max(standing.totals, key=lambda arm: standing.totals[arm])
    chance = numbers.share(standing.best_probability[best])
    return f"Weights: {shown}. Under them {arm_in_sentence(best)} comes first, with a probability of {chance}."


def _tables(standing: Standing) -> tuple[Table, Table]:
    """Which arm comes first, and what each criterion says of each."""
    criteria = tuple(standing.weights)
    values = {(v.arm, v.criterion): f"{v.value:.2f} ({v.measured})" for v in standing.values}
    arms = sorted(standing.totals, key=lambda arm: -standing.totals[arm])
    chances = tuple(
        (
            arm_name(arm),
            f"{standing.totals[arm]:.2f}",
            numbers.share(standing.best_probability[arm]),
            numbers.share(standing.best_whatever[arm]),
        )
        for arm in arms
    )
    rows = tuple((arm_name(arm), *(values[arm, name] for name in criteria)) for arm in arms)
    first = (
        Column("Arm"),
        *(Column(name, number=True) for name in ("Weighed", "Best with probability", "Whatever the weights")),
    )
    second = (Column("Arm"), *(Column(name.capitalize(), number=True) for name in criteria))
    best = frozenset({0})
    return (
        Table("All criteria together, 0 to 1, more is better", first, chances, best),
        Table("Values by criterion, 0 to 1, more is better, and what was measured", second, rows, best),
    )


def _reversal(one: Reversal, standing: Standing) -> str:
    now = standing.weights[one.criterion] / sum(standing.weights.values())
    way = "above" if one.weight > now else "below"
    return (
        f"If {one.criterion} weighed just {way} {numbers.share(one.weight)} instead of {numbers.share(now)}, "
        f"{arm_in_sentence(one.arm)} would come first."
    )
