"""All metrics, in the order in which a report shows them.

A package of your own adds one by an entry point in the group `harness.metrics` that names a `Metric`.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from harness.errors import UserError
from harness.metrics.accuracy import accuracy
from harness.metrics.base import Metric
from harness.metrics.chrf import chrf
from harness.metrics.contains import contains
from harness.metrics.exact_match import exact_match
from harness.metrics.exact_object import exact_object
from harness.metrics.field_f1 import field_f1
from harness.metrics.json_valid import json_valid
from harness.metrics.macro_f1 import weighted_macro_f1
from harness.metrics.rouge_l import rouge_l
from harness.metrics.token_f1 import token_f1
from harness.scenario import Kind

GROUP = "harness.metrics"

_LABELS = frozenset({Kind.LABELS})
_JSON = frozenset({Kind.JSON})
_SHORT = frozenset({Kind.SHORT_ANSWER})
_FREE = frozenset({Kind.FREE_TEXT})

_BUILT_IN = (
    Metric("accuracy", "Accuracy", True, _LABELS, accuracy, "Share of cases that got the right label."),
    Metric(
        "macro_f1",
        "Macro F1",
        False,
        _LABELS,
        None,
        "Mean over the labels of how well each is recognised; a rare label counts as much as a common one.",
        aggregate=weighted_macro_f1,
    ),
    Metric("field_f1", "Field F1", False, _JSON, field_f1, "How many fields of the JSON object are right."),
    Metric("exact_object", "Exact object", True, _JSON, exact_object, "Share of cases with every field right."),
    Metric("json_valid", "Valid JSON", True, _JSON, json_valid, "Share of cases whose answer a program can read."),
    Metric("token_f1", "Token F1", False, _SHORT | _FREE, token_f1, "How many words answer and reference share."),
    Metric("chrf", "chrF", False, _FREE, chrf, "How many runs of characters answer and reference share."),
    Metric("rouge_l", "ROUGE-L", False, _FREE, rouge_l, "How much of the reference comes back in the same order."),
    Metric(
        "exact_match",
        "Exact match",
        True,
        _SHORT | _FREE,
        exact_match,
        "Share of cases answered word for word; case, punctuation and articles do not count.",
    ),
    Metric(
        "contains",
        "Contains the answer",
        True,
        _SHORT,
        contains,
        "Share of cases whose answer has the reference in it, whatever stands around it: facts, not form.",
    ),
    Metric(
        "in_form",
        "In the form asked for",
        True,
        _LABELS | _JSON | _SHORT,
        None,
        "Share of answers written as asked (a label, a JSON object, a short answer), right or wrong: form, not facts.",
    ),
    Metric(
        "embedding_similarity",
        "Embedding similarity",
        False,
        _SHORT | _FREE,
        None,
        "How close answer and reference are in meaning, by an embedding model.",
    ),
    Metric(
        "hit_at_k",
        "Hit at k",
        True,
        frozenset(Kind),
        None,
        "Share of cases where the right document was among the retrieved passages.",
        needs_context=True,
    ),
    Metric(
        "mrr",
        "MRR",
        False,
        frozenset(Kind),
        None,
        "How early the right document comes among the retrieved passages: 1 first, 1/2 second, 0 not at all.",
        needs_context=True,
    ),
)

METRICS: MappingProxyType[str, Metric] = MappingProxyType({metric.name: metric for metric in _BUILT_IN})

PRIMARY: MappingProxyType[Kind, str] = MappingProxyType(
    {Kind.LABELS: "accuracy", Kind.JSON: "field_f1", Kind.SHORT_ANSWER: "token_f1", Kind.FREE_TEXT: "chrf"}
)
"""The metric that decides, where the scenario names none."""


@cache
def all_metrics() -> MappingProxyType[str, Metric]:
    """Built-in metrics first, then those of other installed packages.

    Raises `UserError` where an entry point cannot be loaded, is no `Metric` or takes a name that is taken.
    """
    found = dict(METRICS)
    for point in entry_points(group=GROUP):
        metric = _load(point)
        if metric.name in found:
            raise UserError(f"Metric {metric.name!r} of {point.value} is there already. Give it another name.")
        found[metric.name] = metric
    return MappingProxyType(found)


def metrics_for(kind: Kind) -> tuple[Metric, ...]:
    """The metrics that say something about answers of this kind."""
    return tuple(metric for metric in all_metrics().values() if kind in metric.kinds)


def deciding_metrics() -> dict[Kind, tuple[str, ...]]:
    """Metrics that a decision rule may name, by kind: those with a value for every case, made from its answer."""
    return {kind: tuple(m.name for m in metrics_for(kind) if m.per_case and m.score) for kind in Kind}


def metric_named(name: str) -> Metric:
    """The metric of this name; `UserError` with the names there are where it is unknown."""
    found = all_metrics().get(name)
    if found is None:
        raise UserError(f"There is no metric {name!r}. Known: {', '.join(all_metrics())}.")
    return found


def _load(point: EntryPoint) -> Metric:
    try:
        metric = point.load()
    except (ImportError, AttributeError) as problem:
        raise UserError(f"Metric {point.name!r} ({point.value}) cannot be loaded: {problem}.") from problem
    if not isinstance(metric, Metric):
        raise UserError(f"Metric {point.name!r} ({point.value}) is a {type(metric).__name__}, not a Metric.")
    return metric
