"""Plans and results on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.publish import numbers
from harness.publish.text import one_line
from harness.report.names import arm_name, experiment_title, is_share, metric_title
from harness.report.terminal import show_costs, show_notes, show_scores, show_verdict

if TYPE_CHECKING:
    from harness.experiment.plan import Plan
    from harness.report.data import ReportData


def show_inferred(out: Console, plan: Plan) -> None:
    """What was not said and was settled, from what, and how to say otherwise."""
    if not plan.inferred and not plan.warnings:
        return
    if plan.inferred:
        out.print(Text("Settled from the data:", style="bold"))
    for found in plan.inferred:
        value = one_line(found.value)
        out.print(Text(f"  {found.setting}: {_shortened(value, 300)}"))
        out.print(Text(f"    because {found.because}; to change it: {found.override}", style="dim"))
    for warning in plan.warnings[:12]:
        out.print(Text.assemble(("warning: ", "yellow"), one_line(warning)))
    if len(plan.warnings) > 12:
        out.print(f"... and {len(plan.warnings) - 12} more warnings (bakeoff check lists them).")
    out.print()


def show_plan(out: Console, plan: Plan) -> None:
    """Arms, what can be seen with this many cases, what it will take, and the decision rule."""
    table = Table(box=box.SIMPLE_HEAD, title=Text(f"Plan: {plan.name}"), title_justify="left", pad_edge=False)
    table.add_column("Arm")
    table.add_column("What it does")
    table.add_column("About", justify="right", no_wrap=True)
    for arm in plan.arms:
        about = _requests(plan.endpoint.arms[arm.arm]) if plan.endpoint else numbers.seconds(arm.minutes * 60)
        table.add_row(Text(arm_name(arm.arm)), Text(arm.what), about)
    for left in plan.left_out:
        table.add_row(Text(arm_name(left.arm), style="dim"), Text(f"left out: {left.reason}", style="dim"), "")
    for one in plan.experiments:
        name = Text(experiment_title(one.name), style="dim" if one.cannot else "")
        if one.cannot:
            table.add_row(name, Text(f"cannot be run: {one.cannot}", style="dim"), "")
        else:
            about = (
                _requests(plan.endpoint.experiments[one.name]) if plan.endpoint else numbers.seconds(one.minutes * 60)
            )
            table.add_row(name, Text(f"experiment: {one.what}"), about)
    out.print(table)
    for line in plan_sentences(plan):
        out.print(Text(line))
    out.print()


def plan_sentences(plan: Plan) -> list[str]:
    """The plan's numbers in words."""
    from harness.experiment.resources import fit_sentence

    removed = f" ({plan.removed} left out: they stand in the eval set too)" if plan.removed else ""
    lines = [
        f"{numbers.counted(plan.cases, 'eval case')}, {numbers.counted(plan.train, 'training example')}{removed}, "
        f"{plan.dev} more held out for choosing settings, {numbers.counted(plan.documents, 'document')}.",
        _power(plan),
        *_takes(plan),
        *(fit_sentence(fit) for fit in plan.fits),
        _rule(plan),
    ]
    return lines


def _takes(plan: Plan) -> list[str]:
    """Time and this machine's memory; of a server requests, tokens and money."""
    from harness.experiment.provider_plan import tuning_sentence
    from harness.experiment.requests import asking_sentences

    embedder = f" and {plan.embedder}" if plan.embedder else ""
    if plan.endpoint is None:
        return [
            f"About {numbers.seconds(plan.minutes * 60)}, {numbers.megabytes(plan.memory_mb)} of memory and "
            f"{numbers.megabytes(plan.disk_mb)} of disk on this machine, with {plan.model}{embedder}."
        ]
    return [
        *asking_sentences(plan.endpoint),
        *([tuning_sentence(plan.tuning)] if plan.tuning else []),
        f"How long that takes is the server's to say: about {numbers.seconds(plan.minutes * 60)} as far as is known "
        f"here. {plan.model} answers there"
        + (f"; {plan.embedder} searches on this machine." if plan.embedder else "."),
    ]


def _requests(count: int) -> str:
    return numbers.counted(count, "request") if count else "none"


def _power(plan: Plan) -> str:
    needed = ""
    if plan.cases_for_gap is not None and plan.cases_for_gap > plan.cases:
        more = numbers.count(plan.cases_for_gap - plan.cases)
        needed = f" To settle a gap of 5 points bring about {more} cases more."
    if plan.detectable is None:
        return f"{numbers.counted(plan.cases, 'case')} are too few to show any difference {plan.assumption}." + needed
    return (
        f"With {numbers.counted(plan.cases, 'case')} this eval set can show differences of about "
        f"{plan.detectable * 100:.0f} points or more (paired, 80 % power, corrected for {plan.pairs} pairs of arms, "
        f"{plan.assumption})." + needed + _grouped(plan)
    )


def _grouped(plan: Plan) -> str:
    if plan.groups is None:
        return ""
    return (
        f" The cases come in {numbers.counted(plan.groups, 'group')}, and the statistics count groups: where the cases "
        "of a group go right or wrong together, the smallest difference is larger."
    )


def _rule(plan: Plan) -> str:
    rule = plan.rule
    unit = "percentage points" if is_share(rule.metric) else "points of 100"
    target = f", target {rule.target * 100:.0f}" if rule.target is not None else ""
    return (
        f"Decision rule {plan.rule_digest[:12]}: {metric_title(rule.metric)}, worthwhile margin "
        f"{rule.margin * 100:g} {unit}, alpha {rule.alpha:g} (Holm over all pairs), at least "
        f"{rule.fewest_cases} cases{target}."
    )


def show_result(out: Console, data: ReportData, files: Sequence[Path]) -> None:
    """Scores, costs, the verdict, and where the report is."""
    out.print()
    show_scores(out, data)
    show_costs(out, data)
    show_verdict(out, data)
    show_notes(out, data)
    for file in files:
        out.print(Text(f"Report: {file}"), soft_wrap=True)


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
