"""How the advisor's names and answers are written; all renderers use these."""

from __future__ import annotations

import re

from advisor.questionnaire import load_questionnaire, printable, show_value
from advisor.records import APPROACH_NAMES, Answer, Flip, Source, Standing, Value

TITLES = {
    "prompting": "Prompting",
    "few_shot": "Few-shot prompting",
    "rag": "Retrieval (RAG)",
    "fine_tuning": "Fine-tuning (LoRA)",
    "rag_fine_tuning": "Retrieval + fine-tuning",
}
"""Approaches as headings and in tables."""

EXPLANATIONS = {
    "prompting": "A general model with careful instructions.",
    "few_shot": "Instructions, and solved examples before each input.",
    "rag": "Passages are looked up in your documents for each request, and the model reads them.",
    "fine_tuning": "The model is trained further on your examples.",
    "rag_fine_tuning": "A model trained on your examples that reads passages of your documents.",
}
"""What each approach is, for those who meet it for the first time."""

ARMS = {
    "prompt": ("Prompt", "The instruction alone."),
    "few_shot": ("Few-shot", "The instruction and the same worked examples for every request."),
    "nearest_shots": ("Nearest shots", "The instruction and the training examples most like the request."),
    "rag": ("RAG", "The instruction and the passages found for the request."),
    "lora": ("LoRA", "A model tuned on the training examples through an adapter."),
    "rag_lora": ("RAG + LoRA", "A model tuned on prompts with passages, and asked with passages."),
}
"""The bake-off's arms: name, and what each does."""

SOURCES = {
    Source.TYPED: "typed",
    Source.FILE: "file",
    Source.FLAG: "--set",
    Source.SESSION: "earlier session",
    Source.DATA: "measured",
}

_SAID_BY = {
    Source.TYPED: "said in the interview",
    Source.FILE: "said in a file of answers",
    Source.FLAG: "said when the advice was asked for",
    Source.SESSION: "said in an earlier interview",
    Source.DATA: "measured from the data",
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
    """Where an answer came from, for whoever gave it: `measured: 412 rows of train.jsonl`."""
    name = SOURCES[answer.source]
    return f"{name}: {printable(answer.note)}" if answer.note else name


def said_by(answer: Answer) -> str:
    """The same for those who were not there: `measured from the data: 412 rows of train.jsonl`."""
    name = _SAID_BY[answer.source]
    return f"{name}: {printable(answer.note)}" if answer.note else name


def flip_text(flip: Flip) -> str:
    """`... If the answer were “X” instead of “Y”, the advice would be fine-tuning.`"""
    now, to = value_text(flip.key, flip.now), f"the advice would be {APPROACH_NAMES[flip.to]}"
    if flip.was is None:
        return f"{question_text(flip.key)} This is open; if the answer were “{now}”, {to}."
    was = value_text(flip.key, flip.was)
    return f"{question_text(flip.key)} If the answer were “{now}” instead of “{was}”, {to}."


def strongest_reason(standing: Standing, *, advised: bool) -> str:
    """The reason that counted most: for the advised approach the strongest for it, for others of either kind."""
    if standing.vetoes:
        return standing.vetoes[0].reason
    votes = [vote for vote in standing.votes if vote.weight > 0 or not advised]
    if not votes:
        return "Nothing that was answered speaks for or against it."
    return f"{'for' if votes[0].weight > 0 else 'against'}: {votes[0].reason}"


def signed(points: float) -> str:
    """Points of evidence: `+2.4`, `-0.5`."""
    return f"{points:+.1f}"


def band_text(band: str) -> str:
    """What a band means; a band of another version stands for itself."""
    return BANDS.get(band, printable(band))


def use_text(use: str) -> str:
    """Whether a layer is used."""
    return USES.get(use, printable(use))


def reckoned(how: str) -> str:
    """A bill's sum with a proper sign: `25 days × 1,000`."""
    return how.replace(" x ", " × ")


def without_code(text: str) -> str:
    """A sentence whose commands stand in quotes, as documents know no code: “bakeoff check”."""
    return re.sub("`([^`]*)`", r"“\1”", text)


def capital(text: str) -> str:
    """A clause as the beginning of a sentence."""
    return text[:1].upper() + text[1:]
