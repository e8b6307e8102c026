"""How texts are compared in the audit."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.scenario import Case

_WORD = re.compile(r"\w+")
_ARTICLES = frozenset({"a", "an", "the"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a case stands, for messages."""

    file: str
    case: Case

    def __str__(self) -> str:
        return f"{self.file}:{self.case.line}" if self.case.line is not None else f"{self.file}, {self.case.id}"


class Places:
    """The cases of several files with their places, as often as they are walked through."""

    def __init__(self, *files: tuple[str, Sequence[Case]]) -> None:
        self._files = files

    def __iter__(self) -> Iterator[Place]:
        return (Place(file, case) for file, cases in self._files for case in cases)


def mark(*texts: str | None) -> bytes:
    """Stands for these texts where many are compared."""
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=12).digest()


def normalised(text: str) -> str:
    """Fold what never makes another case: Unicode form (NFKC), upper and lower case, white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def words(text: str) -> list[str]:
    """The text's words in their own upper and lower case, without punctuation."""
    return _WORD.findall(unicodedata.normalize("NFKC", text))


def bare(text: str) -> str:
    """Words only, case folded, without English articles, as in the SQuAD evaluation (Rajpurkar et al. 2016)."""
    return " ".join(word for word in map(str.casefold, words(text)) if word not in _ARTICLES)


def shortened(text: str, *, width: int = 50) -> str:
    """A text for a message: one line, in quotes, at most `width` characters of it."""
    line = " ".join(text.split())
    return repr(line if len(line) <= width else f"{line[: width - 3]}...")
