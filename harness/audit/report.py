"""Everything that can be said of a scenario's data before a model answers, in one record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from statistics import median
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from harness.audit.answerability import Answerability, answerability, unknown_documents
from harness.audit.labels import class_counts, contradictions, label_problems
from harness.audit.leaks import exact_leaks, near_duplicates, without_leaks
from harness.audit.lengths import CountTokens, too_long
from harness.audit.orders import document_orders, row_orders
from harness.audit.personal import document_pieces, personal_problems, row_pieces
from harness.audit.text import Place, Places, mark, normalised, shortened
from harness.lines import in_parts
from harness.scenario import Case, Kind, Problem, RemovedRow, Scenario

Embed: TypeAlias = Callable[[Sequence[str]], npt.NDArray[np.floating]]
"""Texts -> their embeddings, one row a text."""

AT_ONCE = 1024
"""Eval inputs embedded at once."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What the data say."""

    problems: tuple[Problem, ...]
    """Warnings, each with its place; leaks first."""
    removed: tuple[RemovedRow, ...]
    """Training rows to leave out, exact copies first."""
    n_train: int
    """Training rows as read; `n_train - len(removed)` stay."""
    n_eval: int
    n_labels: int = 0
    """Different outputs of train and eval, for labels; else 0."""
    label_rows_min: int | None = None
    """Training rows of the rarest label that eval asks for or train shows; None without labels or training rows."""
    label_rows_median: float | None = None
    contradictory: int = 0
    """Inputs that stand with different outputs."""
    repeated_eval: int = 0
    """Eval rows that repeat an earlier one."""
    answerable_share: float | None = None
    """Share of eval answers that some document holds, 0..1; None where it was not looked for."""
    documents: int = 0
    corpus_words: int = 0
    too_long: int | None = None
    """Rows longer than the context window; None where it was not counted."""
    sensitive: int = 0
    """Kinds of likely personal data and secrets, counted apart in training rows and in documents."""
    orders: int = 0
    """Rows and documents that give the model orders."""


def audit(
    scenario: Scenario,
    *,
    embed: Embed | None = None,
    count_tokens: CountTokens | None = None,
    window: int | None = None,
) -> Audit:
    """Audit a scenario. Near duplicates need `embed`; lengths need `count_tokens` and `window` (tokens)."""
    removed = _removed(scenario, embed)
    places = Places((scenario.train_file, scenario.train), (scenario.eval_file, scenario.cases))
    contradictory = _told(contradictions(places, scenario.kind))
    repeated = _told(_repeated(scenario))
    found = _answers(scenario)
    long = _told(_too_long(scenario, count_tokens, window)) if count_tokens and window else None
    sensitive, orders = _told(_sensitive(scenario)), _told(_orders(scenario))
    counts = _label_rows(scenario, without_leaks(scenario.train, removed))
    return Audit(
        problems=(
            *_leak_problems(scenario, removed),
            *repeated.named,
            *contradictory.named,
            *_label_problems(scenario, removed),
            *_told(_document_problems(scenario, found)).named,
            *(long.named if long else ()),
            *sensitive.named,
            *orders.named,
        ),
        removed=removed,
        n_train=len(scenario.train),
        n_eval=len(scenario.cases),
        n_labels=len(counts),
        label_rows_min=min(counts) if counts and scenario.train else None,
        label_rows_median=float(median(counts)) if counts and scenario.train else None,
        contradictory=contradictory.count,
        repeated_eval=repeated.count,
        answerable_share=found.share if found else None,
        documents=len(scenario.documents),
        corpus_words=sum(len(document.text.split()) for document in scenario.documents),
        too_long=None if long is None else long.count,
        sensitive=sensitive.count,
        orders=orders.count,
    )


MOST_NAMED = 500
"""Problems of one kind that are named one by one."""


@dataclass(frozen=True, slots=True)
class _Told:
    """Problems of one kind: the first of them, with a line on the rest, and how many there are."""

    named: tuple[Problem, ...]
    count: int


def _told(problems: Iterator[Problem]) -> _Told:
    named = tuple(islice(problems, MOST_NAMED))
    rest = sum(1 for _ in problems)
    if not rest:
        return _Told(named, len(named))
    more = "1 more problem of this kind is" if rest == 1 else f"{rest:,} more problems of this kind are"
    message = f"{more} not listed; mend those that are, and check again"
    return _Told((*named, Problem("warning", message, named[-1].file)), len(named) + rest)


def _removed(scenario: Scenario, embed: Embed | None) -> tuple[RemovedRow, ...]:
    exact = exact_leaks(scenario.train, scenario.cases)
    gone = {row.train_id for row in exact}
    if embed is None or not scenario.train:
        return exact
    vectors, best = embed([case.input for case in scenario.train]), dict[str, RemovedRow]()
    for cases in in_parts(scenario.cases, AT_ONCE):
        own = embed([case.input for case in cases])
        for row in near_duplicates(scenario.train, cases, train_vectors=vectors, case_vectors=own):
            known = best.get(row.train_id)
            if row.train_id not in gone and (known is None or row.similarity > known.similarity):
                best[row.train_id] = row
    return (*exact, *(best[case.id] for case in scenario.train if case.id in best))


def _leak_problems(scenario: Scenario, removed: Sequence[RemovedRow]) -> Iterator[Problem]:
    train = {case.id: case for case in scenario.train}
    wanted = {row.eval_id for row in removed}
    cases = {case.id: case for case in scenario.cases if case.id in wanted} if wanted else {}
    for row in removed:
        place = Place(scenario.eval_file, cases[row.eval_id])
        how = f"stands in {place} too" if row.why == "exact" else f"is nearly the same as in {place}"
        message = f"the input {shortened(train[row.train_id].input)} {how}; the row is left out of training"
        yield Problem("warning", message, scenario.train_file, train[row.train_id].line)


def _repeated(scenario: Scenario) -> Iterator[Problem]:
    first: dict[bytes, int] = {}
    for number, case in enumerate(scenario.cases):
        earlier = first.setdefault(mark(normalised(case.input), normalised(case.output)), number)
        if earlier != number:
            place = Place(scenario.eval_file, scenario.cases[earlier])
            message = f"the row repeats {place} and counts twice; delete one of them"
            yield Problem("warning", message, scenario.eval_file, case.line)


def _label_rows(scenario: Scenario, train: Sequence[Case]) -> list[int]:
    """Training rows of each label, 0 for labels that only eval has."""
    if scenario.kind is not Kind.LABELS:
        return []
    counts = class_counts(train)
    return [counts[label] for label in dict.fromkeys(case.output for case in chain(train, scenario.cases))]


def _label_problems(scenario: Scenario, removed: Sequence[RemovedRow]) -> Iterator[Problem]:
    if scenario.kind is Kind.LABELS:
        stay = without_leaks(scenario.train, removed)
        yield from label_problems(stay, scenario.cases, file=scenario.train_file)


def _answers(scenario: Scenario) -> Answerability | None:
    if not scenario.documents or scenario.kind not in (Kind.SHORT_ANSWER, Kind.FREE_TEXT):
        return None
    return answerability(scenario.cases, scenario.documents)


def _document_problems(scenario: Scenario, found: Answerability | None) -> Iterator[Problem]:
    """Short answers are named one by one; of free text, which is rarely copied, only the share is said."""
    for file, cases in ((scenario.train_file, scenario.train), (scenario.eval_file, scenario.cases)):
        yield from unknown_documents(cases, scenario.documents, file=file)
    if found is None or not found.missing:
        return
    if scenario.kind is Kind.FREE_TEXT:
        message = f"no document holds {len(found.missing)} of {found.checked} eval answers, nor most of their words"
        yield Problem("warning", message, scenario.eval_file)
        return
    for case in found.missing:
        message = f"no document holds the answer {shortened(case.output)}; arms that read documents cannot copy it"
        yield Problem("warning", message, scenario.eval_file, case.line)


def _too_long(scenario: Scenario, count_tokens: CountTokens, window: int) -> Iterator[Problem]:
    for file, cases in ((scenario.train_file, scenario.train), (scenario.eval_file, scenario.cases)):
        yield from too_long(
            cases, file=file, count_tokens=count_tokens, window=window, instruction=scenario.instruction
        )


def _sensitive(scenario: Scenario) -> Iterator[Problem]:
    """Likely personal data and secrets in what would be learned or read."""
    yield from personal_problems(row_pieces(scenario.train), file=scenario.train_file, what="row")
    pieces = document_pieces(scenario.documents)
    yield from personal_problems(pieces, file=scenario.corpus or "corpus.jsonl", what="document")


def _orders(scenario: Scenario) -> Iterator[Problem]:
    """Rows and documents that speak to the model."""
    yield from row_orders(scenario.train, file=scenario.train_file)
    yield from row_orders(scenario.cases, file=scenario.eval_file)
    yield from document_orders(scenario.documents, folder=scenario.folder)
