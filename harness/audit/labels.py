"""What a label set gets wrong: contradictions, labels that nobody can learn, labels that look alike."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from harness.audit.text import Place, Places, mark, normalised, shortened
from harness.scenario import Case, Kind, Problem
from harness.scenario_file.infer import json_object

RARE = 3
"""A label with fewer training rows than this is named as rare."""


def contradictions(places: Places | Sequence[Place], kind: Kind) -> Iterator[Problem]:
    """Yield one warning for each input that stands with different outputs, within a file or across files.

    Free text is passed over: there, several outputs are several good answers. So are short answers that name one
    another as references, or that belong to different documents.
    """
    if kind is Kind.FREE_TEXT:
        return
    several = _inputs_met_twice(places, kind)
    by_input: dict[bytes, list[Place]] = {}
    for place in places if several else ():
        key = _input_mark(place, kind)
        if key in several:
            by_input.setdefault(key, []).append(place)
    for same in by_input.values():
        different: dict[str, Place] = {}
        for place in same:
            different.setdefault(_meaning(place.case.output, kind), place)
        if len(different) > 1 and not _agree([place.case for place in different.values()]):
            yield _contradiction(list(different.values()))


def _inputs_met_twice(places: Places | Sequence[Place], kind: Kind) -> set[bytes]:
    met: set[bytes] = set()
    twice: set[bytes] = set()
    for place in places:
        key = _input_mark(place, kind)
        (twice if key in met else met).add(key)
    return twice


def _input_mark(place: Place, kind: Kind) -> bytes:
    return mark(normalised(place.case.input), place.case.context_id if kind is Kind.SHORT_ANSWER else None)


def class_counts(cases: Sequence[Case]) -> Counter[str]:
    """Rows of each output."""
    return Counter(case.output for case in cases)


def label_problems(train: Sequence[Case], cases: Sequence[Case], *, file: str) -> Iterator[Problem]:
    """Yield warnings on labels: in eval but never in train, rare in train, spelt almost alike. `file` is train's."""
    counts, wanted = class_counts(train), class_counts(cases)
    unseen = [label for label in wanted if label not in counts]
    if train and unseen:
        rows = sum(wanted[label] for label in unseen)
        what = "label" if len(unseen) == 1 else "labels"
        message = f"{len(unseen)} {what} of eval (rows: {rows}) missing from training: {_some(unseen)}"
        yield Problem("warning", f"{message}; add rows with them, or arms that learn cannot know them", file)
    rare = [label for label, count in counts.items() if count < RARE]
    if rare:
        have, them = ("label has", "it") if len(rare) == 1 else ("labels have", "them")
        message = f"{len(rare)} {have} fewer than {RARE} training rows: {_some(rare)}; add rows with {them}"
        yield Problem("warning", message, file)
    for alike in _lookalikes([*counts, *(label for label in wanted if label not in counts)]):
        yield Problem("warning", f"labels that differ only in spelling: {_some(alike)}; make them one", file)


def _meaning(output: str, kind: Kind) -> str:
    """What two outputs must share to be the same answer."""
    found = json_object(output) if kind is Kind.JSON else None
    return normalised(output) if found is None else json.dumps(found, sort_keys=True)


def _agree(cases: Sequence[Case]) -> bool:
    """Whether the cases accept one another's outputs."""
    accepted = [{normalised(text) for text in case.accepted} for case in cases]
    return all(first & second for first in accepted for second in accepted)


def _contradiction(places: Sequence[Place]) -> Problem:
    last = places[-1]
    answers = ", ".join(f"{shortened(place.case.output)} ({place})" for place in places)
    message = f"the input {shortened(last.case.input)} stands with different outputs: {answers}; only one can be right"
    return Problem("warning", message, last.file, last.case.line)


def _lookalikes(labels: Iterable[str]) -> list[list[str]]:
    by_form: dict[str, list[str]] = {}
    for label in labels:
        by_form.setdefault(re.sub(r"[\s_]+|(?<=\w)-(?=\w)", "", label.casefold()), []).append(label)
    return [alike for form, alike in by_form.items() if form and len(alike) > 1]


def _some(labels: Sequence[str], *, most: int = 8) -> str:
    shown = ", ".join(repr(label) for label in labels[:most])
    return f"{shown} and {len(labels) - most} more" if len(labels) > most else shown
