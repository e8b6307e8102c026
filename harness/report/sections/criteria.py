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
    "The probability of being best counts both that other cases could have been drawn and that weights are never meant "
    "to the last digit; the next column knows nothing of the weights. The verdict does not rest on this."
)


def criteria_section(data: ReportData) -> Section | None:
    """Values, totals, probabilities and the weights that would change the choice; None where nothing was weighed."""
    standing = data.verdict.standing
    if standing is None:
        return None
    blocks: list[Block] = [
        Paragraph(_weights(standing)),
        Paragraph(HOW, note=True),
        _table(standing),
    ]
    if standing.unmeasured:
        named = joined(standing.unmeasured)
        blocks.append(Paragraph(f"Weighed and not measured in this run, so left out: {named}."))
    if standing.reversals:
        blocks.append(Bullets(tuple(_reversal(one, standing) for one in standing.reversals)))
    else:
        blocks.append(Paragraph("No weight of a single criterion would make another arm the best."))
    return Section("Weighed by what matters to the client", "criteria", tuple(blocks))


def _weights(standing: Standing) -> str:
    total = sum(standing.weights.values())
    shown = ", ".join(f"{name} {numbers.share(weight / total)}" for name, weight in standing.weights.items())
    best = max(standing.totals, key=lambda arm: standing.totals[arm])
    chance = numbers.share(standing.best_probability[best])
    return f"Weights: {shown}. Under them {arm_in_sentence(best)} comes first, with a probability of {chance}."


def _table(standing: Standing) -> Table:
    criteria = tuple(standing.weights)
    values = {(v.arm, v.criterion): f"{v.value:.2f} ({v.measured})" for v in standing.values}
    columns = (
        Column("Arm"),
        Column("Best with probability", number=True),
        Column("Whatever the weights", number=True),
        Column("Weighed", number=True),
        *(Column(name.capitalize(), number=True) for name in criteria),
    )
    arms = sorted(standing.totals, key=lambda arm: -standing.totals[arm])
    rows = tuple(
        (
            arm_name(arm),
            numbers.share(standing.best_probability[arm]),
            numbers.share(standing.best_whatever[arm]),
            f"{standing.totals[arm]:.2f}",
            *(values[arm, name] for name in criteria),
        )
        for arm in arms
    )
    return Table("Values by criterion, 0 to 1, more is better, and what was measured", columns, rows, frozenset({0}))


def _reversal(one: Reversal, standing: Standing) -> str:
    now = standing.weights[one.criterion] / sum(standing.weights.values())
    way = "above" if one.weight > now else "below"
    return (
        f"If {one.criterion} weighed just {way} {numbers.share(one.weight)} instead of {numbers.share(now)}, "
        f"{arm_in_sentence(one.arm)} would come first."
    )
