"""The instruction that every arm sees: written where there is none, completed where it hides the labels or keys."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.scenario import Case, Kind
from harness.scenario_file.infer import are_numbers, are_questions, is_rewriting, json_object

MOST_NESTED_KEYS = 30
MOST_VALUES = 12
_MENTIONED = 0.8
_VALUES_COVER = 0.95
_SAY_IT = 'say it with --instruction TEXT or instruction = "..." in scenario.toml'
NO_JOB = (
    "no instruction was given, and the data do not say what the job is: arms that see no examples cannot know it;"
    f" {_SAY_IT}"
)
NO_MANNER = (
    f"no instruction was given: arms that see no examples cannot know how long and in what manner to answer; {_SAY_IT}"
)
_ONE_LABEL = re.compile(r"\b(one|the|a|single)\s+(\w+\s+)?labels?\b", re.IGNORECASE)
_ONLY, _JSON = (re.compile(rf"\b{word}\b", re.IGNORECASE) for word in ("only", "JSON"))


@dataclass(frozen=True, slots=True)
class Frame:
    """An instruction made from the data alone."""

    text: str
    because: str
    warning: str = ""
    """What the user should know where the data cannot tell the job."""


def write_instruction(kind: Kind, train: Sequence[Case], cases: Sequence[Case], *, names: Sequence[str]) -> Frame:
    """Write an instruction for a set that has none; `names` are its labels or its JSON keys."""
    if kind is Kind.LABELS:
        text = f"Classify the text. Labels: {listed(names)}. Answer with one label only."
        return Frame(text, f"no instruction was given, and the outputs are {len(names)} labels")
    if kind is Kind.JSON:
        source = "train" if train else "eval"
        text = _json_text(train or cases, names, with_values=bool(train))
        return Frame(text, f"no instruction was given; the keys are those of the {source} outputs")
    return _open_frame(kind, [*train, *cases])


def complete_instruction(given: str, kind: Kind, *, names: Sequence[str]) -> str:
    """Append the labels or keys where the instruction names fewer than 80 % of them; else give it back unchanged."""
    if kind not in (Kind.LABELS, Kind.JSON) or not names or mentioned(names, given) >= _MENTIONED:
        return given
    start = given.rstrip()
    start += "" if start.endswith((".", "!", "?", ":", ";", "。")) else "."
    if kind is Kind.LABELS:
        ending = "" if _ONE_LABEL.search(given) else " Answer with one label only."
        return f"{start} Labels: {listed(names)}.{ending}"
    ending = "" if _says_only_json(given) else " Answer with the JSON object only."
    return f"{start} Keys: {listed(names)}.{ending}"


def _says_only_json(text: str) -> bool:
    return any(_ONLY.search(line) and _JSON.search(line) for line in text.split("\n"))


def mentioned(names: Sequence[str], text: str) -> float:
    """Share of the names that stand in the text as whole words, upper and lower case alike."""
    low = text.casefold()
    return sum(re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", low) is not None for name in names) / len(names)


def listed(names: Iterable[str]) -> str:
    """Join with commas; all in double quotes where a name holds a comma itself."""
    texts = list(names)
    if any("," in text for text in texts):
        texts = [f'"{text}"' for text in texts]
    return ", ".join(texts)


def _open_frame(kind: Kind, cases: Sequence[Case]) -> Frame:
    """Frame for kinds whose job the outputs do not show; a question at least shows that an answer is wanted."""
    questions = are_questions(cases) and not is_rewriting(cases)
    because = "no instruction was given" + (", and the inputs are questions" if questions else "")
    if kind is Kind.SHORT_ANSWER:
        numbers = are_numbers([case.output for case in cases])
        form = "Answer with the number only." if numbers else "Give the shortest exact answer only."
        return Frame(f"Answer the question. {form}", because) if questions else Frame(form, because, NO_JOB)
    if questions:
        return Frame("Answer the question. Give the answer only.", because, NO_MANNER)
    return Frame("Rewrite or answer the text as required. Give the answer only.", because, NO_JOB)


def _json_text(cases: Sequence[Case], keys: Sequence[str], *, with_values: bool) -> str:
    """Values are examples from training outputs only: those of eval outputs would give answers away."""
    objects = [found for case in cases if (found := json_object(case.output))]
    named = [_key_phrase(key, objects) for key in keys]
    incomplete = any(len(found) < len(keys) for found in objects) or any(
        _nested_incomplete(key, objects) for key in keys
    )
    nulls = any(value is None for found in objects for value in found.values())
    absent = "; leave out what is not said" if incomplete else "; use null for what is not said" if nulls else ""
    values = [phrase for key in keys if with_values and (phrase := _values_phrase(key, objects))]
    head = f"Turn the text into a JSON object with the keys {', '.join(named)}{absent}."
    return " ".join([head, *values, "Answer with the JSON object only."])


def _key_phrase(key: str, objects: Sequence[dict[str, object]]) -> str:
    nested = _nested(key, objects)
    if not nested:
        return key
    counts = Counter(inner for found in nested for inner in found)
    shown = [inner for inner, _ in counts.most_common(MOST_NESTED_KEYS)]
    more = " and others" if len(counts) > len(shown) else ""
    what = "an object" if any(isinstance(found.get(key), dict) for found in objects) else "a list of objects"
    return f"{key} ({what} with the keys {', '.join(shown)}{more})"


def _nested(key: str, objects: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """The objects that stand under a key, directly or in a list."""
    values = [found[key] for found in objects if key in found]
    flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return [item for item in flat if isinstance(item, dict)]


def _nested_incomplete(key: str, objects: Sequence[dict[str, object]]) -> bool:
    nested = _nested(key, objects)
    return len({frozenset(found) for found in nested}) > 1


def _values_phrase(key: str, objects: Sequence[dict[str, object]]) -> str:
    """Name the values of a key that takes few: at most 12 that repeat and cover at least 95 % of its uses."""
    uses = [found[key] for found in objects if key in found and found[key] is not None]
    items = [item for use in uses for item in (use if isinstance(use, list) else [use])]
    if not items or any(isinstance(item, dict | list) for item in items):
        return ""
    counts = Counter(item if isinstance(item, str) else json.dumps(item) for item in items)
    closed = [value for value, count in counts.most_common() if count > 1]
    covered = sum(counts[value] for value in closed)
    if not 0 < len(closed) <= MOST_VALUES or covered < _VALUES_COVER * len(items) or covered < 3 * len(closed):
        return ""
    # "Such as", not "one of": what training rows show need not be all there is.
    return f"{key}: such as {listed(closed)}." if len(closed) > 1 else ""
