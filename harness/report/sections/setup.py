"""Sections 6 and 7: how each arm was set up, and what was left out, removed or inferred."""

from __future__ import annotations

from harness.publish import numbers
from harness.publish.blocks import Block, Bullets, Column, Fact, Facts, Paragraph, Place, Section, Subheading, Table
from harness.records import CONTROL, Choice, Recipe, Trial
from harness.report.data import ReportData, ladder_place
from harness.report.names import arm_label, arm_name, is_share, metric_title

MINUS_LOSS = "minus dev loss"
"""What tuning chooses by (`Choice.metric`)."""
MOST_REMOVED_LISTED = 20


def setup_section(data: ReportData) -> Section:
    """What each arm settled on dev before it saw a case of the eval set."""
    opening = Paragraph(
        f"{_chosen_on(data.scenario.dev_examples)} All arms share one model, one instruction and one generation "
        f"setting; the instruction was framed as “{data.scenario.framing}”."
    )
    instruction = Facts((Fact("Instruction", data.scenario.instruction),))
    arms = sorted((recipe for recipe in data.recipes if recipe.arm != CONTROL), key=lambda r: ladder_place(r.arm))
    blocks = [block for recipe in arms for block in _arm_blocks(recipe)]
    return Section("How each arm was set up", "setup", (opening, instruction, *blocks), Place.APPENDIX)


def left_out_section(data: ReportData) -> Section:
    """Arms that did not take part, leaks removed, settings inferred, warnings."""
    blocks = [*_left_out(data), *_removed(data), *_inferred(data), *_warnings(data)]
    return Section("What was left out, removed or assumed", "left-out", tuple(blocks), Place.APPENDIX)


def _chosen_on(dev_examples: int) -> str:
    if not dev_examples:
        return "No examples could be held back for choosing, so settings are the defaults, not the best of several."
    return (
        f"Everything below was chosen on {numbers.counted(dev_examples, 'example')} held back from the training "
        "examples (dev), or, how documents are searched, on the training examples themselves; never on the cases that "
        "decide."
    )


def _arm_blocks(recipe: Recipe) -> list[Block]:
    facts = _recipe_facts(recipe)
    blocks: list[Block] = [Subheading(arm_label(recipe.arm))]
    if facts:
        blocks.append(Facts(facts))
    if recipe.choices:
        blocks.append(_choices(recipe))
    if recipe.notes:
        blocks.append(Bullets(recipe.notes))
    return blocks if len(blocks) > 1 else [*blocks, Paragraph("Nothing to choose.")]


def _recipe_facts(recipe: Recipe) -> tuple[Fact, ...]:
    trained = (
        f"{numbers.counted(recipe.train_examples, 'example')}, {numbers.counted(recipe.train_tokens, 'token')}, "
        f"{numbers.seconds(recipe.train_seconds)}"
    )
    facts = (
        ("Fixed shots", ", ".join(recipe.shots)),
        ("Put into a prompt (k)", numbers.count(recipe.k) if recipe.k else ""),
        ("Retrieves from", recipe.source),
        ("Trained on", trained if recipe.train_examples else ""),
        ("Adapter", recipe.adapter or ""),
        ("Adapter digest", recipe.adapter_digest),
    )
    return tuple(Fact(label, value) for label, value in facts if value)


def _choices(recipe: Recipe) -> Table:
    columns = (Column("Setting"), Column("Chosen"), Column("Tried"), Column("By"), Column("Examples", number=True))
    rows = tuple(_choice_row(choice) for choice in recipe.choices)
    return Table(f"Chosen on dev for {arm_name(recipe.arm)}", columns, rows)


def _choice_row(choice: Choice) -> tuple[str, ...]:
    share = is_share(choice.metric)
    by_loss = choice.metric == MINUS_LOSS
    tried = "; ".join(_tried(trial, share=share, by_loss=by_loss) for trial in choice.tried)
    by = "loss (lower is better)" if by_loss else metric_title(choice.metric)
    return (choice.setting, choice.chosen, tried or "–", by, numbers.count(choice.n))


def _tried(trial: Trial, *, share: bool, by_loss: bool) -> str:
    on = f" (on {trial.n})" if trial.n else ""
    value = numbers.loss(-trial.score) if by_loss else numbers.score(trial.score, is_share=share)
    return f"{trial.value}: {value}{on}"


def _left_out(data: ReportData) -> list[Block]:
    if not data.verdict.left_out:
        return [Paragraph("Every arm that was asked for took part.")]
    rows = tuple((arm_name(left.arm), left.reason) for left in data.verdict.left_out)
    return [Table("Arms that did not take part", (Column("Arm"), Column("Why")), rows)]


def _removed(data: ReportData) -> list[Block]:
    removed = data.scenario.removed
    if not removed:
        return [Paragraph("No training example was found to repeat a case of the eval set.")]
    opening = (
        f"{numbers.counted(len(removed), 'training example')} stood in the eval set too and "
        f"{'was' if len(removed) == 1 else 'were'} removed from training; no case was removed from the eval set."
    )
    rows = tuple((row.train_id, row.eval_id, row.why, f"{row.similarity:.3f}") for row in removed[:MOST_REMOVED_LISTED])
    shown = f", the first {MOST_REMOVED_LISTED} of {len(removed):,}" if len(removed) > MOST_REMOVED_LISTED else ""
    columns = (Column("Training example"), Column("Case"), Column("Match"), Column("Similarity", number=True))
    return [Paragraph(opening), Table(f"Training examples removed{shown}", columns, rows)]


def _inferred(data: ReportData) -> list[Block]:
    if not data.scenario.inferred:
        return []
    columns = (Column("Setting"), Column("Value"), Column("Because"), Column("To change it"))
    rows = tuple((found.setting, found.value, found.because, found.override) for found in data.scenario.inferred)
    return [Table("Settings that were not given and were inferred", columns, rows)]


def _warnings(data: ReportData) -> list[Block]:
    if not data.scenario.warnings:
        return []
    return [Subheading("Warnings about the input"), Bullets(data.scenario.warnings)]
