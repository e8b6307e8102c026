"""Which passages a case can be answered from: of its document, where that is known, and holding its answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.records import Passage
from harness.retrieval.words import words
from harness.scenario import Case

WHOLE_WORDS = 8
"""Answers of up to so many words must stand in a passage as they are; longer ones, which a passage's end may cut, by
most of their different words. The same bounds as in the audit (`audit.answerability`)."""
MOST_WORDS = 0.8

_ARTICLES = frozenset({"a", "an", "the"})
_JUDGED = frozenset({"yes", "no", "true", "false"})
"""Answers that are said of a text and do not stand in it."""


@dataclass(frozen=True, slots=True)
class Bag:
    """A text made ready to look for answers in."""

    text: str
    """Its words between single spaces, a space at both ends."""
    words: frozenset[str]

    @classmethod
    def of(cls, text: str) -> Bag:
        """Words only, case folded, without English articles, as in the SQuAD evaluation (Rajpurkar et al. 2016)."""
        kept = [word for word in words(text) if word not in _ARTICLES]
        return cls(f" {' '.join(kept)} ", frozenset(kept))

    def holds(self, answer: Bag) -> bool:
        """Whether this answer stands in the text."""
        if len(answer.text.split()) <= WHOLE_WORDS:
            return answer.text in self.text
        return len(answer.words & self.words) >= MOST_WORDS * len(answer.words)


def together(bags: Iterable[Bag]) -> Bag:
    """Several texts as one; what stands at the end of one and the beginning of the next does not run on."""
    bags = tuple(bags)
    return Bag("\n".join(bag.text for bag in bags), frozenset().union(*(bag.words for bag in bags)))


def answers_of(case: Case) -> tuple[Bag, ...]:
    """The accepted answers that can be looked for; yes and no cannot."""
    bags = (Bag.of(text) for text in case.accepted)
    return tuple(bag for bag in bags if bag.words - _JUDGED)


def is_of(passage: Passage, document: str | None) -> bool:
    """Whether a passage is of the document with this id, or is itself what is named."""
    return document is not None and document in (passage.document_id, passage.id)


def holds_any(text: Bag, answers: Sequence[Bag]) -> bool:
    """Whether one of the answers stands in the text."""
    return any(text.holds(answer) for answer in answers)


def holds_answer(passage: Passage, case: Case) -> bool:
    """Whether this passage is the one to answer from: of the named document, with the answer's words in it (yes and no
    need not stand there)."""
    answers = answers_of(case)
    if case.context_id is not None and not (is_of(passage, case.context_id) and answers):
        return is_of(passage, case.context_id)
    return holds_any(Bag.of(passage.text), answers)
