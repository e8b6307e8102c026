"""How the advisor's numbers and names are written; all renderers use these."""

from __future__ import annotations

import math

from advisor.questionnaire import load_questionnaire, printable, show_value
from advisor.records import APPROACH_NAMES, Answer, Flip, Source, Value

TITLES = {
    "prompting": "Prompting",
    "few_shot": "Few-shot prompting",
    "rag": "Retrieval (RAG)",
    "fine_tuning": "Fine-tuning (LoRA)",
    "rag_fine_tuning": "Retrieval + fine-tuning",
}
"""Approaches as headings and in tables."""

SOURCES = {
    Source.TYPED: "typed",
    Source.FILE: "file",
    Source.FLAG: "--set",
    Source.SESSION: "earlier session",
    Source.DATA: "measured",
}

GRADES = {"A": "several measured results", "B": "one or two measured results", "C": "vendor guidance", "D": "reasoning"}

BANDS = {
    "very likely": "at least 3 in 4",
    "likely": "between 1 in 2 and 3 in 4",
    "possible": "between 1 in 4 and 1 in 2",
    "unlikely": "between 1 in 10 and 1 in 4",
    "very unlikely": "under 1 in 10",
    "ruled out": "an absolute reason stands against it",
}
"""What each band means: how often advice given with it should turn out right."""

USES = {"now": "now", "later": "later, if needed", "no": "no"}


def value_text(key: str, value: Value | None) -> str:
    """An answer for people; what this version does not know (a file of another one) is shown as it is."""
    known = load_questionnaire()
    if key not in known.keys:
        return printable(str(value))
    question = known.question(key)
    if isinstance(value, str) and value not in question.values:
        return printable(value)
    return show_value(question, value)


def question_text(key: str) -> str:
    """A question's words."""
    known = load_questionnaire()
    return known.question(key).text if key in known.keys else printable(key)


def source_text(answer: Answer) -> str:
    """Where an answer came from: `measured: 412 rows of train.jsonl`."""
    name = SOURCES[answer.source]
    return f"{name}: {printable(answer.note)}" if answer.note else name


def flip_text(flip: Flip) -> str:
    """`If "..." were X instead of Y: fine-tuning.`"""
    now = value_text(flip.key, flip.now)
    was = f" instead of “{value_text(flip.key, flip.was)}”" if flip.was is not None else " (not known now)"
    return f"{question_text(flip.key)} If the answer were “{now}”{was}: {APPROACH_NAMES[flip.to]}."


def signed(points: float) -> str:
    """Points of evidence: `+2.4`, `-0.5`."""
    return f"{points:+.1f}"


def band_text(band: str) -> str:
    """What a band means; a band of another version stands for itself."""
    return BANDS.get(band, printable(band))


def use_text(use: str) -> str:
    """Whether a layer is used."""
    return USES.get(use, printable(use))


def money(amount: float, currency: str) -> str:
    """Money to two figures, `$12,000`; from a cent to ten with cents, below a cent `$0.00012`. 0 or more."""
    sign = {"USD": "$", "EUR": "€", "GBP": "£"}.get(currency, f"{currency} ")
    if amount == 0:
        return f"{sign}0"
    if amount < 0.01:
        return f"{sign}{amount:.{1 - math.floor(math.log10(amount))}f}"
    if amount < 10:
        return f"{sign}{amount:.2f}"
    digits = max(0, len(str(int(amount))) - 2)
    return f"{sign}{round(amount, -digits):,.0f}"
