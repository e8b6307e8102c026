"""Words of any script: what BM25 counts, and what answers are looked for by."""

from __future__ import annotations

import re
import unicodedata

_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+)"
)
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese are written without spaces between words."""


BIGRAMS = 2
"""Characters of a word of scripts without spaces, where texts are indexed."""


class _Kept(dict[int, str]):
    """Letters, their marks and digits as they are, everything else as a space; filled as characters are met."""

    def __missing__(self, point: int) -> str:
        char = chr(point)
        self[point] = char if unicodedata.category(char)[0] in "LMN" else " "
        return self[point]


_KEPT = _Kept()


def words(text: str, *, width: int = 1) -> list[str]:
    """The text's words in order, case folded, without punctuation (after Unicode's NFKC).

    Scripts without spaces give every run of `width` characters instead: bigrams are what Lucene's CJKAnalyzer indexes.
    """
    found: list[str] = []
    for word in unicodedata.normalize("NFKC", text).casefold().translate(_KEPT).split():
        if word.isascii():
            found.append(word)
        else:
            found += (part for run in filter(None, _UNSPACED.split(word)) for part in _parts(run, width))
    return found


def _parts(run: str, width: int) -> list[str]:
    if not _UNSPACED.match(run):
        return [run]
    return [run[i : i + width] for i in range(max(1, len(run) - width + 1))]
