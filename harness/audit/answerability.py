"""Whether the documents hold the answers at all: what stands in no document cannot be retrieved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.audit.sought import Sought
from harness.audit.text import bare
from harness.scenario import Case, Document, Problem

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
    found = standing_in(dict.fromkeys(text for case in cases for text in _sought(case)), documents)
    checked, missing = 0, list[Case]()
    for case in cases:
        texts = _sought(case)
        checked += bool(texts)
        if texts and not any(text in found for text in texts):
            missing.append(case)
    return Answerability(checked, tuple(missing))


def _sought(case: Case) -> list[str]:
    """A case's answers as they are looked for."""
    return [text for text in map(bare, case.accepted) if text not in _JUDGED]


def standing_in(answers: Iterable[str], documents: Iterable[Document]) -> set[str]:
    """Those of the answers (bare texts) that some document holds."""
    found: set[str] = set()
    sought = Sought(answers)
    for document in documents:
        for answer in list(sought.standing(bare(f"{document.title} {document.text}"))):
            found.add(answer)
            sought.drop(answer)
    return found


def unknown_documents(cases: Sequence[Case], documents: Sequence[Document], *, file: str) -> Iterator[Problem]:
    """Yield a warning for each case whose `context_id` names no document; nothing where there are no documents."""
    named = {case.context_id for case in cases if case.context_id is not None}
    known = {document.id for document in documents if document.id in named} if named else set()
    for case in cases if documents else ():
        if case.context_id is not None and case.context_id not in known:
            message = f"context_id {case.context_id!r} names no document; give the id of a corpus row or a file's path"
            yield Problem("warning", message, file, case.line)
