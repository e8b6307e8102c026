"""Which label of a label set a text means.

One set of rules for every arm, strictest first; a rule that fits decides:

1. The text is a label: as written; or without regard to case, wrapping quotes and whether words are separated by
   spaces, "_" or "-"; or without final punctuation, where that leaves one candidate.
2. The text starts with a label (the longest that fits) and does not go on to list other labels.
3. Exactly one label is mentioned as whole words, not counting mentions inside a longer mentioned label.

Otherwise the text names no label. Labels that are also everyday words ("no", "None", "other") or single letters are
mentioned only where the sentence or the line stops after them, so "there is no way to tell" does not mean "no".
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

_SEPARATORS = re.compile(r"(?:(?!(?<!\w)-\d)[_\-\s])+")
"""Runs of "_", "-" and spaces; the minus of a label such as -1 is none of them."""
_WRAPPING = "\"'`“”„‘’«»*.,:;()[]{}<>|~ "
_FINAL = _WRAPPING + "?!¿¡。、！？：；「」（）/\\"
_LEADING = re.compile(rf"(?:[#{re.escape(_FINAL)}\n]|-(?!\d))*")
_STOP = re.compile(r"\s*(?:$|[\n.,;:!?)\]}\"'`”’»*|。，、！？：；」）])")
_LISTING = re.compile(r"[\s\"'`“”‘’*.,;:()\[\]|/&0-9•。、，；]*(?:\b(?:or|and)\b\s*)?[\s\"'`“”‘’*(\[]*")
_EVERYDAY = frozenset({"no", "none", "not", "other", "others", "neither", "both", "all", "any"})
_UNSPACED_SCRIPTS = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR")


_BOUNDS = {
    # The 4 in 4.5 or in -4 is another number.
    "digit": (r"(?<![\w.\-])", r"(?!\w|[.,]\d)"),
    "letter": (r"(?<!\w)", r"(?!\w)"),
    "open": ("", ""),
}


def fold(text: str) -> str:
    """`text` in the spelling in which labels are compared; case, separators and wrapping quotes do not count."""
    spaced = _SEPARATORS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()
    return spaced.strip(_WRAPPING) or spaced or text.strip()


def match_label(text: str, labels: Sequence[str]) -> str | None:
    """The label that `text` means, spelled as in `labels`; None where it names none or several."""
    known = _label_set(tuple(labels))
    return known.equal_to(text) or known.opening(text) or known.only_mention(text)


def same_label(text: str, labels: Sequence[str]) -> str | None:
    """The label that `text` is (rule 1 only), spelled as in `labels`."""
    return _label_set(tuple(labels)).equal_to(text)


@dataclass(frozen=True, slots=True)
class _LabelSet:
    exact: frozenset[str]
    folded: dict[str, str]
    """Folded spelling -> label."""
    bare: dict[str, str]
    """The same without final punctuation, where that is one label's alone."""
    pattern: re.Pattern[str]
    """Any folded or bare spelling as whole words, the longest first."""

    def equal_to(self, text: str) -> str | None:
        stripped = text.strip()
        if stripped in self.exact:
            return stripped
        return self.folded.get(fold(text)) or self.bare.get(_bare(text))

    def opening(self, text: str) -> str | None:
        line = _line_spaced(text)
        lead = _LEADING.match(line)
        first = self.pattern.match(line, lead.end() if lead else 0)
        if first is None or (_is_letter(first.group()) and not _stops(line, first)):
            return None
        label = self._named(first)
        return None if self._lists_another(line[first.end() :], label) else label

    def only_mention(self, text: str) -> str | None:
        line = _line_spaced(text)
        found = {self._named(match) for match in self.pattern.finditer(line) if _is_meant(line, match)}
        return found.pop() if len(found) == 1 else None

    def _lists_another(self, rest: str, label: str) -> bool:
        gap = _LISTING.match(rest)
        following = self.pattern.match(rest, gap.end() if gap else 0)
        return following is not None and self._named(following) != label

    def _named(self, match: re.Match[str]) -> str:
        return self.folded.get(match.group()) or self.bare[match.group()]


@lru_cache(maxsize=64)
def _label_set(labels: tuple[str, ...]) -> _LabelSet:
    # Of labels that differ in case only the first stands for all, except where a text repeats one as written.
    folded = {fold(label): label for label in reversed(labels)}
    counts = Counter(_bare(label) for label in folded.values())
    bare = {_bare(label): label for label in folded.values() if counts[_bare(label)] == 1}
    return _LabelSet(frozenset(labels), folded, bare, _whole_words({*folded, *bare}))


def _whole_words(keys: set[str]) -> re.Pattern[str]:
    longest_first = sorted((key for key in keys if key), key=lambda key: (-len(key), key))
    # No label at all: a pattern that never matches.
    return re.compile("|".join(map(_bounded, longest_first)) or r"(?!)")


def _bounded(key: str) -> str:
    """A label between word boundaries, except where its script writes no spaces between words."""
    before, after = (_BOUNDS[_edge(char)] for char in (key[0], key[-1]))
    return before[0] + re.escape(key) + after[1]


def _edge(char: str) -> Literal["digit", "letter", "open"]:
    if char.isdigit():
        return "digit"
    spaced = char.isalpha() and not unicodedata.name(char, "").startswith(_UNSPACED_SCRIPTS)
    return "letter" if spaced else "open"


def _bare(text: str) -> str:
    return fold(text).strip(_FINAL) or fold(text)


def _line_spaced(text: str) -> str:
    """Folded like a label, but with its punctuation and line ends."""
    lines = unicodedata.normalize("NFKC", text).casefold().splitlines()
    return "\n".join(_SEPARATORS.sub(" ", line).strip() for line in lines)


def _is_letter(mention: str) -> bool:
    return len(mention) == 1 and mention.isascii() and mention.isalpha()


def _is_meant(line: str, match: re.Match[str]) -> bool:
    everyday = match.group() in _EVERYDAY or _is_letter(match.group())
    return not everyday or _stops(line, match)


def _stops(line: str, match: re.Match[str]) -> bool:
    return _STOP.match(line, match.end()) is not None
