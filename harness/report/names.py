"""How arms and metrics are called in a report. A name that is not listed is shown as it is."""

from __future__ import annotations

from harness.metrics.base import Metric
from harness.metrics.registry import METRICS, all_metrics
from harness.records import APPROACH_NAMES, CONTROL

_ARMS = {
    "prompt": "Prompt",
    "few_shot": "Few-shot",
    "nearest_shots": "Nearest shots",
    "rag": "RAG",
    "lora": "LoRA",
    "rag_lora": "RAG + LoRA",
    CONTROL: "Constant answer",
}

_IN_SENTENCES = {
    "prompt": "the prompt",
    "few_shot": "few-shot",
    "nearest_shots": "nearest shots",
    CONTROL: "the constant answer",
}


def arm_name(arm: str) -> str:
    """The arm as a heading or table row."""
    return _ARMS.get(arm, arm)


def arm_label(arm: str) -> str:
    """The arm as a table row that marks the control."""
    return f"{arm_name(arm)} (control)" if arm == CONTROL else arm_name(arm)


def approach_in_sentence(approach: str) -> str:
    """An approach's name inside a sentence."""
    return APPROACH_NAMES.get(approach, approach)


def arm_in_sentence(arm: str) -> str:
    """The arm in the middle of a sentence: `the prompt`, `RAG`."""
    return _IN_SENTENCES.get(arm, arm_name(arm))


def metric_title(metric: str) -> str:
    """The metric's title."""
    known = _metric(metric)
    return known.title if known else metric


def metric_explanation(metric: str) -> str:
    """One sentence on what the metric says; empty for one that nobody registered."""
    known = _metric(metric)
    return known.explanation if known else ""


def is_share(metric: str) -> bool:
    """Whether the metric's mean is a share of cases, written in percent."""
    known = _metric(metric)
    return known is not None and known.right_or_wrong


def _metric(metric: str) -> Metric | None:
    """The built-in metric, else that of an installed package."""
    return METRICS.get(metric) or all_metrics().get(metric)
