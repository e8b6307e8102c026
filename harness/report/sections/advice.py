"""The section on the advice that was given before the trial, and what became of it."""

from __future__ import annotations

from harness.publish.blocks import Block, Bullets, Fact, Facts, Paragraph, Section, Subheading
from harness.records import Contradiction
from harness.report.data import ReportData
from harness.report.names import approach_in_sentence
from harness.report.sections.verdict import advice_sentence

SOURCES = {
    "typed": "typed",
    "file": "from a file of answers",
    "flag": "from the command line",
    "session": "from an earlier session",
    "data": "measured from the data",
}
ANSWER_NAMES = {
    "gap": "what the model lacks",
    "base_knows_facts": "whether the model knows the facts",
    "labelled_examples": "how many labelled examples there are",
    "eval_examples": "how many cases there are to judge by",
    "classes": "how many labels there are",
    "latency_ms": "how long users wait",
}


def advice_section(data: ReportData) -> Section | None:
    """What was advised, the hypothesis, what the trial says of it; None where nothing was advised."""
    relation = data.verdict.advice
    sentence = advice_sentence(relation)
    if sentence is None or relation.advised is None:
        return None
    facts = [Fact("Advised", approach_in_sentence(relation.advised), f"on {relation.date}" if relation.date else "")]
    facts += [Fact("Hypothesis", relation.hypothesis)] if relation.hypothesis else []
    blocks: list[Block] = [Paragraph(sentence), Facts(tuple(facts))]
    blocks += [Bullets(relation.reasons)] if relation.reasons else []
    if relation.contradicted:
        blocks += [Subheading("Answers that the data contradict"), Bullets(contradiction_lines(relation.contradicted))]
    if data.scenario.quick:
        blocks.append(Paragraph("It was a quick run, with less tuning and fewer settings than a full one.", note=True))
    return Section("The advice on trial", "advice", tuple(blocks))


SAID = {
    ("gap", "form"): "style and form matter most",
    ("gap", "facts"): "facts are what is missing",
    ("gap", "none"): "the model lacks nothing",
    ("base_knows_facts", True): "the model knows the facts",
}
"""Answers that make a sentence of their own."""


def contradiction_lines(found: tuple[Contradiction, ...]) -> tuple[str, ...]:
    """One sentence an answer."""
    return tuple(
        f"{_as_said(one)}{f' ({SOURCES[one.source]})' if one.source in SOURCES else ''}. {one.found}" for one in found
    )


def _as_said(one: Contradiction) -> str:
    sentence = SAID.get((one.key, one.said))
    if sentence and one.source != "data":
        return f"You said that {sentence}"
    return f"On {ANSWER_NAMES.get(one.key, one.key)} the answer was {said(one.said)}"


def said(value: str | int | bool) -> str:
    """An answer for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"“{value}”"
