"""Whether an answer can be used at all, and what is wrong with it where not: the same test for every arm."""

from __future__ import annotations

from collections.abc import Sequence

from harness.metrics.answer import parse_answer
from harness.metrics.json_text import read_object
from harness.metrics.labels import same_label
from harness.scenario import Kind


def fault_of(text: str, *, kind: Kind, labels: Sequence[str] = (), keys: Sequence[str] = ()) -> str | None:
    """What keeps a program from reading this answer, as a sentence for the model; None where nothing does.

    labels: no label of the set is named. json: no JSON object, or one without some of the keys. Any text can be used as
    a short answer or as free text.
    """
    if kind is Kind.LABELS:
        answer = parse_answer(text, kind=kind, labels=labels)
        if answer and same_label(answer, labels) is not None:
            return None
        return f"It is none of the allowed answers: {', '.join(labels)}."
    if kind is not Kind.JSON:
        return None
    found = read_object(parse_answer(text, kind=kind))
    if found is None:
        return "It is not a JSON object."
    missing = [key for key in keys if key not in found]
    return f"The JSON object lacks: {', '.join(missing)}." if missing else None
