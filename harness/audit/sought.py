"""Many answers looked for in one text after the other, so that no text has to be held."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

WHOLE_WORDS = 8
"""Answers of up to so many words must stand in a document as they are; longer ones by most of their words."""
MOST_WORDS = 0.8


class Sought:
    """Answers (bare texts) that are looked for until they are found.

    A short one is looked for where its first word stands. A long one, of whose different words four in five must stand
    in the text, is looked for where one of its rarest words stands: a text that lacks all of these lacks too many.
    """

    def __init__(self, answers: Iterable[str]) -> None:
        self._short: dict[str, set[str]] = defaultdict(set)
        self._long: dict[str, set[str]] = defaultdict(set)
        self._words: dict[str, frozenset[str]] = {}
        long: list[str] = []
        for answer in dict.fromkeys(answers):
            words = answer.split()
            if len(words) <= WHOLE_WORDS:
                self._short[words[0]].add(answer)
            else:
                self._words[answer] = frozenset(words)
                long.append(answer)
        often = Counter(word for words in self._words.values() for word in words)
        for answer in long:
            for word in self._telling(answer, often):
                self._long[word].add(answer)

    def _telling(self, answer: str, often: Counter[str]) -> list[str]:
        rare = sorted(self._words[answer], key=lambda word: (often[word], word))
        return rare[: len(rare) - _needed(len(rare)) + 1]

    def standing(self, text: str) -> Iterator[str]:
        """The answers that this text (bare, too) holds."""
        words = frozenset(text.split())
        padded = f" {text} "
        for word in words & self._short.keys():
            yield from [answer for answer in self._short[word] if f" {answer} " in padded]
        near = {answer for word in words & self._long.keys() for answer in self._long[word]}
        for answer in near:
            own = self._words[answer]
            if len(own & words) >= MOST_WORDS * len(own):
                yield answer

    def drop(self, answer: str) -> None:
        """Look for this one no longer."""
        for index in (self._short, self._long):
            for word in set(answer.split()) & index.keys():
                index[word].discard(answer)
                if not index[word]:
                    del index[word]


def _needed(words: int) -> int:
    """Fewest of so many different words that are enough."""
    return next(n for n in range(words + 1) if n >= MOST_WORDS * words)
