"""What inputs, outputs and documents have to do with one another, as shares of the rows.

These are the signs by which a person would tell the job from its data: do the answers stand in the inputs, or in the
documents? Are the outputs the inputs written anew, or much shorter? Are they prose made of fields?
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import median

from harness.audit.answerability import answerability
from harness.audit.sought import WHOLE_WORDS, Sought
from harness.audit.text import bare
from harness.scenario import Case, Document, Kind
from harness.scenario_file.infer import are_numbers, json_object, word_count
from harness.scenario_file.limits import draw

MOST_ROWS = 400
"""Rows that are looked at on each side; a share of 400 is known to 5 points (95 %)."""
MOST_ANSWERS = 200
"""Answers that are looked for in all documents, the slow part; a share of 200 is known to 7 points (95 %)."""
SHORT_QUESTION = 60
"""Words: in a longer input a question mark somewhere does not make it a question."""
_TELLING = 4
"""Letters: shorter answers stand in any large text by chance."""
_MOST_HITS = 200
"""Places of a short answer that are looked at."""
_SAME_LENGTH = (0.5, 2.0)
_FEWEST_FIELDS = 3
_FIELD_SHARE = 0.7
_FIELD = re.compile(r"\s*[^\W\d][\w .-]{0,40}\s*(\[[^\]]*\]|[:=]\s*\S.*)\s*")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_CODE = re.compile(
    r"(?:```\w*\s*)?(?:SELECT\b.*\bFROM\b|select\b.*\bfrom\b|(?i:WITH\s+\w+\s+AS\s*\(|INSERT\s+INTO\s+\w+|DELETE\s+FROM\s)"
    r"|(?i:UPDATE\s+\S+\s+SET\s|CREATE\s+TABLE\s)|def\s+\w+\(|class\s+\w+\s*[:({]|import\s+[\w.]+\s*(?:$|;|\n)"
    r"|from\s+[\w.]+\s+import\b|#include\b|#!/|(?:async\s+)?function\s+\w+\(|(?:const|let|var)\s+\w+\s*="
    r"|(?:public|private|static)\s+[\w<>\[\] ]+[({=;]|<\?php|<!DOCTYPE)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Signs:
    """Shares (0..1) of the rows looked at, and medians over them."""

    rows: int
    """Rows looked at."""
    asks: float
    """Inputs that are questions."""
    copied: float | None
    """Answers that stand in their input word for word; for JSON, values. None where no answer can be looked for."""
    explained: float | None
    """JSON values that stand in the input or come from a short list; None where there are none."""
    covered: float
    """Share of an output's different words that its input has: the median."""
    overlap: float
    """F1 of the two texts' words: the median."""
    length_ratio: float
    """Words of the output by words of the input: the median."""
    same_length: float
    """Outputs between half and twice as long as their input."""
    input_words: float
    """The median."""
    output_words: float
    """The median."""
    fields: float
    """Inputs made of fields: a JSON object or list, or three and more `name: value`, `name=value`, `name[value]`."""
    numbers: bool
    """Whether four in five outputs are bare numbers."""
    reckoning: float
    """Inputs that hold two numbers or more."""
    code: float
    """Outputs that begin as code does."""
    one_question: float
    """Inputs whose last line is the commonest last line."""
    with_document: float
    """Rows whose `context_id` names a document."""
    own_document: float | None
    """Answers that stand in the document that their `context_id` names; None where there are none."""
    in_corpus: float | None
    """Answers of four letters or more that their own document holds or, where none is named, any; there a short answer
    counts only beside half of the words of its input."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One row, prepared for comparison."""

    case: Case
    source: str
    target: str


def read_signs(train: Sequence[Case], cases: Sequence[Case], documents: Sequence[Document], *, kind: Kind) -> Signs:
    """Look at up to 400 rows of each side. Expects at least one row."""
    sample = [*draw(train, MOST_ROWS, seed=0), *draw(cases, MOST_ROWS, seed=0)]
    rows = [_Row(case, bare(case.input), bare(case.output)) for case in sample]
    looked_for = [part for index, case in enumerate(sample) for part in _looked_for(case, kind, index=index)]
    ratios = [word_count(case.output) / max(word_count(case.input), 1) for case in sample]
    known = {document.id for document in documents}
    own, anywhere = _grounded(looked_for, documents)
    return Signs(
        rows=len(sample),
        asks=_share([_asks(case.input) for case in sample]) or 0,
        copied=_share([stands_in(case, bare(case.input)) for case in looked_for]),
        explained=_explained(looked_for) if kind is Kind.JSON else None,
        covered=median(map(_covered, rows)),
        overlap=median(map(_overlap, rows)),
        length_ratio=median(ratios),
        same_length=_share([_SAME_LENGTH[0] <= ratio <= _SAME_LENGTH[1] for ratio in ratios]) or 0,
        input_words=median(word_count(case.input) for case in sample),
        output_words=median(word_count(case.output) for case in sample),
        fields=_share([has_fields(case.input) for case in sample]) or 0,
        numbers=are_numbers([case.output for case in sample]),
        reckoning=_share([len(_NUMBER.findall(case.input)) > 1 for case in sample]) or 0,
        code=_share([_CODE.match(case.output) is not None for case in sample]) or 0,
        one_question=Counter(_last_line(case.input) for case in sample).most_common(1)[0][1] / len(sample),
        with_document=_share([case.context_id in known for case in sample]) or 0,
        own_document=own,
        in_corpus=anywhere,
    )


def has_fields(text: str) -> bool:
    """Whether a text is data rather than prose: JSON, or mostly named fields."""
    if text.lstrip().startswith(("{", "[")):
        try:
            return isinstance(json.loads(text), dict | list)
        except (ValueError, RecursionError):
            pass
    parts = [part for part in re.split(r"[,;|\n](?![^\[]*\])", text) if part.strip()]
    named = sum(_FIELD.fullmatch(part) is not None for part in parts)
    return named >= max(_FEWEST_FIELDS, _FIELD_SHARE * len(parts))


def stands_in(case: Case, text: str) -> bool:
    """Whether any accepted answer stands word for word in a text that went through `bare`."""
    padded = f" {text} "
    return any(f" {answer} " in padded for answer in map(bare, case.accepted) if answer)


def json_values(text: str) -> list[str]:
    """Texts and numbers at the leaves of a JSON object; of any other text none."""
    return list(_leaves(json_object(text)))


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        yield str(value)


def _looked_for(case: Case, kind: Kind, *, index: int) -> Iterator[Case]:
    """The row's answers as cases of their own, with ids that no file's ids can disturb: of JSON one for each value."""
    if kind is not Kind.JSON:
        yield replace(case, id=f"{index}")
        return
    for place, value in enumerate(json_values(case.output)):
        if bare(value):
            yield replace(case, id=f"{index}-{place}", output=value, references=())


def _explained(values: Sequence[Case]) -> float | None:
    counts = Counter(case.output for case in values)
    return _share([counts[case.output] > 2 or stands_in(case, bare(case.input)) for case in values])


def _grounded(looked_for: Sequence[Case], documents: Sequence[Document]) -> tuple[float | None, float | None]:
    """Give (share held by the document named, share held by it or, where none is named, by any)."""
    if not documents:
        return None, None
    telling = [found for case in looked_for if (found := _telling(case))]
    wanted = {case.context_id for case in telling}
    by_id = {document.id: document for document in documents if document.id in wanted}
    named = [case for case in telling if case.context_id in by_id]
    loose = draw([case for case in telling if case.context_id not in by_id], MOST_ANSWERS, seed=0)
    own = [_held_by(case, by_id[case.context_id or ""]) for case in named]
    return _share(own), _share([*own, *_held_by_any(loose, documents)])


def _telling(case: Case) -> Case | None:
    """The case with those answers only that do not stand in any large text by chance."""
    answers = [answer for answer in case.accepted if len(bare(answer)) >= _TELLING]
    return replace(case, output=answers[0], references=tuple(answers[1:])) if answers else None


def _held_by(case: Case, document: Document) -> bool:
    return answerability([case], [document]).share == 1


def _held_by_any(cases: Sequence[Case], documents: Sequence[Document]) -> list[bool]:
    """A long answer is found as ever; a short one counts only in a document that speaks of the question too."""
    long = [case for case in cases if _is_long(case)]
    held = {case.id for case in long} - {case.id for case in answerability(long, documents).missing} if long else set()
    if len(long) == len(cases):
        return [case.id in held for case in cases]
    held |= _fitting([case for case in cases if not _is_long(case)], documents)
    return [case.id in held for case in cases]


def _is_long(case: Case) -> bool:
    return len(bare(case.output).split()) > WHOLE_WORDS


def _fitting(cases: Sequence[Case], documents: Sequence[Document]) -> set[str]:
    """Ids of the cases of whose question a document with the answer has half of the words; of each answer, so many
    places are looked at."""
    asked = {case.id: {word for word in bare(case.input).split() if len(word) >= _TELLING} for case in cases}
    askers: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        for answer in dict.fromkeys(map(bare, case.accepted)):
            askers[answer].append(case.id)
    sought = Sought(answer for answer in askers if answer)
    left = dict.fromkeys(askers, _MOST_HITS)
    held: set[str] = set()
    for document in documents:
        text = bare(f"{document.title} {document.text}")
        for answer in list(sought.standing(text)):
            hits = sum(1 for _ in islice(_places(f" {answer} ", f" {text} "), left[answer]))
            held.update(name for name in askers[answer] if hits and _speaks_of(asked[name], text))
            left[answer] -= hits
            if left[answer] <= 0 or held.issuperset(askers[answer]):
                sought.drop(answer)
    return held


def _speaks_of(asked: set[str], text: str) -> bool:
    return 2 * sum(f" {word} " in f" {text} " for word in asked) >= len(asked)


def _places(part: str, whole: str) -> Iterator[int]:
    at = whole.find(part)
    while at >= 0:
        yield at
        at = whole.find(part, at + 1)


def _asks(text: str) -> bool:
    end = text.rstrip().rstrip("\"'”’)]")
    return end.endswith(("?", "？", "؟")) or (
        word_count(text) <= SHORT_QUESTION and any(mark in text for mark in "?？؟")
    )


def _last_line(text: str) -> str:
    return bare(text.strip().rpartition("\n")[2])


def _covered(row: _Row) -> float:
    wanted = set(row.target.split())
    return len(wanted & set(row.source.split())) / max(len(wanted), 1)


def _overlap(row: _Row) -> float:
    a, b = Counter(row.source.split()), Counter(row.target.split())
    return 2 * (a & b).total() / max(a.total() + b.total(), 1)


def _share(marks: Sequence[bool]) -> float | None:
    return sum(marks) / len(marks) if marks else None
