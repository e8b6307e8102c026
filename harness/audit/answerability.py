"""Whether the documents hold the answers at all: what stands in no document cannot be retrieved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.audit.text import bare
from harness.scenario import Case, Document, Problem

WHOLE_WORDS = 8
"""Answers of up to so many words must stand in a document as they are; longer ones by most of their words."""
MOST_WORDS = 0.8
_JUDGED = frozenset({"", "yes", "no", "true", "false"})


@dataclass(frozen=True, slots=True)
class Answerability:
    """How many eval answers some document holds."""

    checked: int
    """Cases with an answer that can be looked for; yes and no cannot."""
    missing: tuple[Case, ...]

    @property
    def share(self) -> float | None:
        """Share of the checked answers that were found, 0..1; None where none could be checked."""
        return 1 - len(self.missing) / self.checked if self.checked else None


def answerability(cases: Sequence[Case], documents: Sequence[Document]) -> Answerability:
    """Look for each case's accepted answers in all documents, after case, punctuation and articles are dropped.

    An answer of up to 8 words is found where a document holds it word for word, a longer one where a single document
    holds at least 80 % of its different words.
    """
    answers = {case.id: [text for text in map(bare, case.accepted) if text not in _JUDGED] for case in cases}
    texts = [bare(f"{document.title} {document.text}") for document in documents]
    whole = " \n ".join(["", *texts, ""])
    wanted = {word for found in answers.values() for text in found for word in text.split()}
    holders = _holders(texts, wanted)
    checked = [case for case in cases if answers[case.id]]
    missing = [case for case in checked if not any(_holds(text, whole, holders) for text in answers[case.id])]
    return Answerability(len(checked), tuple(missing))


def unknown_documents(cases: Sequence[Case], documents: Sequence[Document], *, file: str) -> Iterator[Problem]:
    """Yield a warning for each case whose `context_id` names no document; nothing where there are no documents."""
    known = {document.id for document in documents}
    for case in cases if known else ():
        if case.context_id is not None and case.context_id not in known:
            message = f"context_id {case.context_id!r} names no document; give the id of a corpus row or a file's path"
            yield Problem("warning", message, file, case.line)


def _holders(texts: Sequence[str], wanted: set[str]) -> dict[str, set[int]]:
    """Word -> indices of the texts that hold it, for the wanted words."""
    holders: dict[str, set[int]] = defaultdict(set)
    for index, text in enumerate(texts):
        for word in wanted.intersection(text.split()):
            holders[word].add(index)
    return holders


def _holds(answer: str, whole: str, holders: dict[str, set[int]]) -> bool:
    words = answer.split()
    if len(words) <= WHOLE_WORDS:
        return f" {answer} " in whole
    hits: dict[int, int] = defaultdict(int)
    for word in set(words):
        for index in holders.get(word, ()):
            hits[index] += 1
    return max(hits.values(), default=0) >= MOST_WORDS * len(set(words))
