"""How texts are made comparable before answers are matched.

After the official SQuAD 1.1 script (P. Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of
Text", EMNLP 2016): lower case, no punctuation, no English articles, single spaces. Three changes, each because the
script fails on what clients have:

- Numbers keep their point and sign and lose their grouping: 1,000 = 1000 and 5 = 5.0, but 5.0 is not 50 and -5 not 5.
  A unit written against its number is a word of its own: 5kg = 5 kg.
- Punctuation of every script goes, and Chinese and Japanese characters become words of their own (as in MLQA, Lewis et
  al. 2020), since nothing separates words there.
- A step that would leave nothing is skipped, so that the answers "A", "the" or "+" remain answers.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

ARTICLES = frozenset({"a", "an", "the"})

_NUMBER = re.compile(r"(?<![\w.,])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![.,]?\d|(?:st|nd|rd|th)\b)")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[.,](?=\d)")
_UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")
_WORD = re.compile(r"\S+")


@lru_cache(maxsize=64)  # several metrics look at the same answer, and arms at the same reference
def tokens(text: str) -> tuple[str, ...]:
    """The words that count, in order; empty only where the text holds nothing but spaces."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("−", "-")
    words = _words(plain)
    return tuple(word for word in words if word not in ARTICLES) or words or tuple(plain.split())


def normalised(text: str) -> str:
    """The words that count, joined by single spaces."""
    return " ".join(tokens(text))


def contains_run(haystack: Sequence[str], needle: Sequence[str]) -> bool:
    """Whether the words of `needle` stand in `haystack` next to each other and in order."""
    width = len(needle)
    return any(haystack[i : i + width] == needle for i in range(len(haystack) - width + 1))


def _words(plain: str) -> tuple[str, ...]:
    """Numbers in one spelling, everything else without punctuation."""
    words: list[str] = []
    end = 0
    for number in _NUMBER.finditer(plain):
        words += _bare_words(plain[end : number.start()])
        words.append(_canonical_number(number.group()))
        end = number.end()
    return (*words, *_bare_words(plain[end:]))


def _bare_words(plain: str) -> list[str]:
    kept = {match.start() for match in _BETWEEN_DIGITS.finditer(plain)}
    if kept:
        bare = "".join(char for at, char in enumerate(plain) if at in kept or not _is_punctuation(char))
    else:
        bare = plain.translate(_NO_PUNCTUATION)
    return _WORD.findall(_UNSPACED.sub(r" \1 ", bare))


def _is_punctuation(char: str) -> bool:
    return char in string.punctuation or unicodedata.category(char).startswith("P")


class _NoPunctuation(dict[int, int | None]):
    """Code points for `str.translate`, looked up once each."""

    def __missing__(self, code: int) -> int | None:
        self[code] = found = None if _is_punctuation(chr(code)) else code
        return found


_NO_PUNCTUATION = _NoPunctuation()


def _canonical_number(number: str) -> str:
    digits = number.replace(",", "").removeprefix("+")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return "0" if digits == "-0" else digits
