"""Form apart from facts: is the answer written as it was asked for, whatever it says?

labels: the text is a label and nothing else. json: it is one JSON object and nothing else, with every key. In a short
answer there are at most half as many words again as in the longest accepted answer of the set. Free text has no form
that could be told without reading it. The raw text is looked at, before any parser is kind to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.metrics.json_text import read_object
from harness.metrics.labels import same_label
from harness.scenario import Case, Kind

IN_FORM = "in_form"
"""The metric's name."""

FACTS: dict[Kind, str] = {Kind.LABELS: "accuracy", Kind.JSON: "field_f1", Kind.SHORT_ANSWER: "contains"}
"""The metric that asks for facts and is lenient on form; parsers are."""

LONGER = 1.5


def longest_words(cases: Sequence[Case]) -> int:
    """Words of the longest short answer that counts as one."""
    return math.ceil(LONGER * max((len(a.split()) for case in cases for a in case.accepted), default=1))


def in_form(text: str, *, kind: Kind, labels: Sequence[str] = (), keys: Sequence[str] = (), words: int = 0) -> bool:
    """Whether a raw answer is of the form asked for; an empty one is not."""
    if not text.strip():
        return False
    if kind is Kind.LABELS:
        return same_label(text.strip(), labels) is not None
    if kind is Kind.JSON:
        found = read_object(text)
        return found is not None and all(key in found for key in keys)
    return len(text.split()) <= words
