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
    "classifier": "Classifier on embeddings",
    "lora_documents": "LoRA on the documents",
    "full_tuning": "Full tuning",
    CONTROL: "Constant answer",
}

_EXPLANATIONS = {
    "prompt": "The instruction alone, in the better of three framings.",
    "few_shot": "The instruction and the same worked examples for every request.",
    "nearest_shots": "The instruction and the training examples most like the request.",
    "rag": "The instruction and the passages found for the request.",
    "lora": "A model tuned on the training examples through an adapter (LoRA).",
    "rag_lora": "A model tuned on prompts with passages, and asked with passages.",
    CONTROL: "The commonest output, whatever the request: an arm that does not beat it has learned nothing.",
}

_EXPERIMENTS = {
    "seeds": "Training seeds",
    "learning_curve": "Learning curve",
    "facts_change": "Facts change",
    "harm": "Harm checks",
    "consistency": "Consistency",
    "documents_in_weights": "Weights or index",
    "retrieval": "RAG dissected",
    "form": "Held to the form",
    "tuned_embedder": "A tuned embedder",
    "full_tuning": "Full tuning",
    "classifier": "A classifier on embeddings",
    "judge": "A judge",
    "orders": "Planted orders",
}

_QUESTIONS = {
    "seeds": "How much of a tuned arm's score is luck of the training seed?",
    "learning_curve": "Would more labels pay?",
    "facts_change": "What happens when the facts change?",
    "harm": "What did tuning break, and what is answered that nothing supports?",
    "consistency": "Is the same request always answered alike?",
    "documents_in_weights": "Weights or index: can the documents be learned instead of read?",
    "retrieval": "Where does RAG lose: in retrieval or in generation?",
    "form": "How much of a lead is form?",
    "tuned_embedder": "Is it enough to tune what retrieves?",
    "full_tuning": "Does an adapter leave something on the table?",
    "classifier": "Is a language model needed at all?",
    "judge": "What does a second opinion say?",
    "orders": "Does it obey orders that stand in what it reads?",
}

_MEASURES = {
    "agreement": "Same answer",
    "old fact told": "Old fact told",
    "time to update": "Time to update",
    "general ability": "General ability",
    "declined": "Declined",
    "leaked": "Wrong, and a training output",
    "win rate": "Preferred by the judge",
    "kappa": "Agreement with people (kappa)",
    "obeyed": "Obeyed",
    "position": "Verdict followed the position",
}

_RATES = "hit rate"
"""What retrieval is chosen by is no metric of answers, and is a share of examples."""

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


def arm_explanation(arm: str) -> str:
    """What the arm does, in a sentence."""
    return _EXPLANATIONS.get(arm, "An arm of this firm's own.")


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


def experiment_title(name: str) -> str:
    """An experiment as a heading."""
    return _EXPERIMENTS.get(name, name)


def experiment_question(name: str) -> str:
    """What an experiment asks."""
    return _QUESTIONS.get(name, "")


def measure_title(measure: str) -> str:
    """A measured quantity as a column's title: a metric's, or an experiment's own."""
    known = _MEASURES.get(measure) or metric_title(measure)
    return known[0].upper() + known[1:]


def metric_explanation(metric: str) -> str:
    """One sentence on what the metric says; empty for one that nobody registered."""
    known = _metric(metric)
    return known.explanation if known else ""


def is_share(metric: str) -> bool:
    """Whether the metric's mean is a share of cases, written in percent."""
    known = _metric(metric)
    return known.right_or_wrong if known is not None else metric.startswith(_RATES)


def _metric(metric: str) -> Metric | None:
    """The built-in metric, else that of an installed package."""
    return METRICS.get(metric) or all_metrics().get(metric)
