"""What the outputs show of a job that nobody described: kind, labels, keys, metric and margin.

Every function gives its value together with the reason in plain words, so that the user can disagree.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from statistics import median

from harness.scenario import Case, Kind

KNOWN_METRICS: Mapping[Kind, tuple[str, ...]] = {
    Kind.LABELS: ("accuracy",),
    Kind.JSON: ("field_f1", "exact_object", "json_valid"),
    Kind.SHORT_ANSWER: ("token_f1", "exact_match", "contains"),
    Kind.FREE_TEXT: ("chrf", "rouge_l", "token_f1", "exact_match"),
}
"""Metrics a decision rule may name, by kind."""

MARGINS: Mapping[Kind, float] = {
    Kind.LABELS: 0.05,
    Kind.JSON: 0.05,
    Kind.SHORT_ANSWER: 0.05,
    Kind.FREE_TEXT: 0.03,
}
FEWEST_CASES = 30

_JSON_SHARE = 0.9
_NUMBER_SHARE = 0.8
_ROWS_PER_LABEL = 3
_MOST_LABELS = 300
_TINY_SET = 10  # so few labels may show with two rows each
_MOST_NUMERIC_LABELS = 11  # 0 to 10 is the longest common rating scale
_NEW_OUTPUT_SHARE = 0.1
_LABEL_WORDS = 8
_LONGEST_NUMBER = 60  # characters
_MOST_KEYS = 500
_SHORT_MEDIAN = 8
_SHORT_TAIL = 20
_REWRITTEN = 0.5
_YES_NO = frozenset({"yes", "no", "true", "false", "ja", "nein", "oui", "non", "sí", "si", "y", "n"})
_NUMBER = re.compile(r"[-+~]?\s*[$€£¥]?\s*[-+]?(\d[\d,.' ]*|\.\d+)([eE][-+]?\d+)?\s*[%$€£¥]?")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]{1,2}|[^\s\u3040-\u30ff\u3400-\u9fff]+")


def infer_kind(cases: Sequence[Case]) -> tuple[Kind, str]:
    """Tell the kind from the outputs of train and eval together, and say why. Expects at least one case."""
    outputs = [case.output for case in cases]
    objects = sum(json_object(output) is not None for output in outputs)
    if objects >= _JSON_SHARE * len(outputs):
        return Kind.JSON, f"{objects} of {len(outputs)} outputs are JSON objects"
    labels = closed_set(outputs)
    counting = labels > 2 and are_numbers(outputs) and are_questions(cases)  # "how many" has few answers, yet no labels
    if labels and not counting:
        return Kind.LABELS, f"{len(outputs)} outputs use only {labels} different short texts again and again"
    return _short_or_free(cases)


def infer_metric(kind: Kind, outputs: Sequence[str]) -> tuple[str, str]:
    """Choose the primary metric and say why."""
    if kind is Kind.SHORT_ANSWER and are_numbers(outputs):
        return "exact_match", "the answers are numbers: right or wrong"
    reasons = {
        Kind.LABELS: "the usual metric for one label out of a set",
        Kind.JSON: "it gives credit for each right field",
        Kind.SHORT_ANSWER: "it gives credit for each right word of a short answer",
        Kind.FREE_TEXT: "it compares longer texts by characters, in any language",
    }
    return KNOWN_METRICS[kind][0], reasons[kind]


def closed_set(outputs: Sequence[str]) -> int:
    """Count the labels where the outputs are a closed set of short texts; 0 where they are not.

    The share of outputs seen once estimates how often a new row would bring a new output (Good 1953, "The population
    frequencies of species"); in a closed set it is near 0, among free answers it is not, however often some repeat.
    """
    counts = Counter(outputs)
    if not all(_is_label_like(output) for output in counts):
        return 0
    if len(counts) > 1 and all(output.casefold().strip(".") in _YES_NO for output in counts):
        return len(counts)
    n, labels, numbers = len(outputs), len(counts), are_numbers(outputs)
    once = sum(count == 1 for count in counts.values())
    few_enough = labels <= (_MOST_NUMERIC_LABELS if numbers else _MOST_LABELS)
    tiny = labels <= _TINY_SET and not numbers and not once
    repeated = n >= (2 if tiny else _ROWS_PER_LABEL) * labels and once <= max(1, _NEW_OUTPUT_SHARE * n)
    return labels if few_enough and repeated else 0


def label_set(train: Sequence[Case], cases: Sequence[Case]) -> tuple[str, ...]:
    """All outputs, in order of first appearance: train before eval."""
    return tuple(dict.fromkeys(case.output for case in chain(train, cases)))


def json_keys(cases: Iterable[Case]) -> tuple[str, ...]:
    """Top-level keys of the outputs that are JSON objects, the most frequent first, at most 500 of them."""
    counts = Counter(key for case in cases for key in json_object(case.output) or ())
    return tuple(key for key, _ in counts.most_common(_MOST_KEYS))


def json_object(text: str) -> dict[str, object] | None:
    """Parse a JSON object; None where the text is anything else."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
        if "\\u" in text:  # half a character (a lone surrogate) could not be written anywhere
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def are_numbers(outputs: Sequence[str]) -> bool:
    """Whether at least four in five outputs are bare numbers (with sign, currency or percent sign)."""
    return sum(map(_is_number, outputs)) >= _NUMBER_SHARE * len(outputs)


def _is_number(output: str) -> bool:
    text = output.strip()
    return len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text) is not None


def are_questions(cases: Sequence[Case]) -> bool:
    """Whether at least half of the inputs hold a question mark."""
    return sum(any(mark in case.input for mark in "?？؟") for case in cases) >= len(cases) / 2


def is_rewriting(cases: Sequence[Case]) -> bool:
    """Whether outputs say mostly the words of their inputs again, at about the same length."""
    return median(_overlap(case.input, case.output) for case in cases[:2000]) > _REWRITTEN


def word_count(text: str) -> int:
    """Words between white space; two Chinese or Japanese characters count as one word."""
    return len(_WORD.findall(text))


def _short_or_free(cases: Sequence[Case]) -> tuple[Kind, str]:
    lengths = sorted(word_count(case.output) for case in cases)
    middle, tail = lengths[len(lengths) // 2], lengths[int(0.9 * (len(lengths) - 1))]
    words = "word" if middle == 1 else "words"
    measured = f"half of the outputs have at most {middle} {words}, nine in ten at most {tail}"
    if middle > _SHORT_MEDIAN or tail > _SHORT_TAIL:
        return Kind.FREE_TEXT, measured
    if sum("\n" in case.output for case in cases) > 0.05 * len(cases):
        return Kind.FREE_TEXT, "more than one output in twenty has several lines"
    if is_rewriting(cases):
        return Kind.FREE_TEXT, "the outputs are their inputs written anew"
    return Kind.SHORT_ANSWER, measured


def _is_label_like(output: str) -> bool:
    return "\n" not in output and len(output) <= 100 and word_count(output) <= _LABEL_WORDS


def _overlap(first: str, second: str) -> float:
    """F1 of the two texts' words, 0..1."""
    a, b = Counter(first.casefold().split()), Counter(second.casefold().split())
    return 2 * (a & b).total() / max(a.total() + b.total(), 1)
